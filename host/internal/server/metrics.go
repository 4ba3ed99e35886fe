package server

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/entrepot-registry/entrepot/host/internal/cache"
)

// Metrics are what /metrics shows.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	upstream *prometheus.HistogramVec
	errors   *prometheus.CounterVec
	perRepo  sync.Map // name → *counters
}

// counters are those of a repository.
type counters struct {
	repository string
	bytes      prometheus.Counter
	seconds    prometheus.Observer
	requests   [600]atomic.Pointer[prometheus.Counter] // by status; nil: none yet
}

// NewMetrics makes the metrics of a host.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "entrepot_requests_total", Help: "Requests answered."}, []string{"repository", "status"}),
		bytes:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "entrepot_response_bytes_total", Help: "Bytes of bodies sent."}, []string{"repository"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "entrepot_request_seconds", Help: "Time until a request was answered.",
			Buckets: []float64{.0001, .0005, .001, .005, .02, .1, .5, 2, 10, 60}}, []string{"repository"}),
		upstream: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "entrepot_upstream_seconds", Help: "Time until upstream began to answer.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"upstream", "status"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "entrepot_upstream_errors_total", Help: "Requests to upstream without an answer."}, []string{"upstream"}),
	}
	m.registry.MustRegister(m.requests, m.bytes, m.seconds, m.upstream, m.errors,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

// Upstream notes a request to upstream.
func (m *Metrics) Upstream(name string, took time.Duration, status int, err error) {
	if err != nil {
		m.errors.WithLabelValues(name).Inc()
		return
	}
	m.upstream.WithLabelValues(name, strconv.Itoa(status)).Observe(took.Seconds())
}

// of returns the counters of a repository; an empty name: of requests to none.
func (m *Metrics) of(repository string) *counters {
	v, ok := m.perRepo.Load(repository)
	if !ok {
		v, _ = m.perRepo.LoadOrStore(repository, &counters{
			repository: repository,
			bytes:      m.bytes.WithLabelValues(repository),
			seconds:    m.seconds.WithLabelValues(repository),
		})
	}
	return v.(*counters)
}

func (m *Metrics) request(rec *recorder, took time.Duration) {
	c := rec.counters
	if c == nil {
		c = m.of("")
	}
	status := rec.status % len(c.requests)
	requests := c.requests[status].Load()
	if requests == nil {
		made := m.requests.WithLabelValues(c.repository, strconv.Itoa(status))
		requests = &made
		c.requests[status].Store(requests)
	}
	(*requests).Inc()
	c.bytes.Add(float64(rec.bytes))
	c.seconds.Observe(took.Seconds())
}

// Sizes are gauges that are read when they are asked for.
type Sizes struct {
	// CacheBytes is what cached bodies take.
	CacheBytes func() int64
	// Evicted is how many bodies were evicted.
	Evicted func() int64
	// Plugins tells whether each plugin runs, and how often it was restarted.
	Plugins func(visit func(name string, running bool, restarts int64))
}

// Watch adds the counters of a cache and sizes of the host.
func (m *Metrics) Watch(stats *cache.Stats, sizes Sizes) {
	counter := func(name, help string, read func() int64, labels prometheus.Labels) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(read()) }))
	}
	counter("entrepot_cache_hits_total", "Requests answered from what is kept.", stats.Hits.Load, nil)
	counter("entrepot_cache_misses_total", "Requests that upstream was asked for.", stats.Misses.Load, nil)
	counter("entrepot_cache_stale_total", "Requests answered although upstream could not confirm in time.", stats.Stale.Load, nil)
	counter("entrepot_renderings_total", "Documents rendered by plugins.", stats.Renderings.Load, nil)
	counter("entrepot_upstream_broken_total", "Bodies of upstream that broke off or stalled, were too large, or had not the digest that they should have.", stats.Broken.Load, nil)
	counter("entrepot_revalidations_total", "Documents that upstream confirmed unchanged.", stats.Revalidations.Load, nil)
	counter("entrepot_cache_evicted_total", "Bodies evicted.", sizes.Evicted, nil)
	const verdicts = "entrepot_cooldown_verdicts_total"
	const help = "Judgements on files that were asked for."
	counter(verdicts, help, stats.Served.Load, prometheus.Labels{"verdict": "served"})
	counter(verdicts, help, stats.Held.Load, prometheus.Labels{"verdict": "held"})
	counter(verdicts, help, stats.Refused.Load, prometheus.Labels{"verdict": "refused"})
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "entrepot_cache_bytes", Help: "Bytes that cached bodies take."},
		func() float64 { return float64(sizes.CacheBytes()) }))
	m.registry.MustRegister(&pluginCollector{sizes.Plugins})
}

// pluginCollector shows the state of plugins.
type pluginCollector struct {
	each func(func(name string, running bool, restarts int64))
}

var (
	pluginUp       = prometheus.NewDesc("entrepot_plugin_up", "Whether a plugin runs.", []string{"plugin"}, nil)
	pluginRestarts = prometheus.NewDesc("entrepot_plugin_restarts_total", "How often a plugin was started again.", []string{"plugin"}, nil)
)

// Describe names the metrics.
func (c *pluginCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- pluginUp
	ch <- pluginRestarts
}

// Collect reads the state.
func (c *pluginCollector) Collect(ch chan<- prometheus.Metric) {
	c.each(func(name string, running bool, restarts int64) {
		up := 0.0
		if running {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(pluginUp, prometheus.GaugeValue, up, name)
		ch <- prometheus.MustNewConstMetric(pluginRestarts, prometheus.CounterValue, float64(restarts), name)
	})
}
