package catalog

import (
	"errors"
	"fmt"
	"strings"
)

// ErrChanged says that a package changed since the decision was made: decide
// again.
var ErrChanged = errors.New("the package changed meanwhile")

// TakenError says that a file's path is another package's.
type TakenError struct{ Path, Owner string }

// Error names both.
func (e *TakenError) Error() string { return e.Path + " belongs to another package: " + e.Owner }

// AlikeError says that a package that is new is called like another.
type AlikeError struct{ Name, Other string }

// Error names both.
func (e *AlikeError) Error() string {
	return fmt.Sprintf("the name %s means the same as %s, which is here", e.Name, e.Other)
}

// SpelledError says that a version is the same as one that is there, but spelled
// otherwise.
type SpelledError struct{ Name, Version, Other string }

// Error names both.
func (e *SpelledError) Error() string {
	return fmt.Sprintf("%s %s is the same version as %s, which is here, and only spelled otherwise", e.Name, e.Version, e.Other)
}

// MissingError says that there is no version to be changed.
type MissingError struct{ Name, Version string }

// Error names it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("there is no %s %s here", e.Name, e.Version)
}

// DirectoryError says that something is served from a file in a directory, and
// so cannot be taken away.
type DirectoryError struct{ What, File string }

// Error names it.
func (e *DirectoryError) Error() string {
	return e.What + " is served from " + e.File + " in a directory, which is only read: remove the file there"
}

// ExistsError says that there is a file already.
type ExistsError struct{ Name, Version, Path string }

// Error names it.
func (e *ExistsError) Error() string {
	return strings.TrimSpace(e.Name+" "+e.Version) + " is there already, and what is published does not change"
}
