//go:build !unix

package server

import "io"

// ReadFrom sends what a reader has.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return c.TCPConn.ReadFrom(r) }
