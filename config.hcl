# The configuration of entrepot. It works as it stands; everything that is
# commented out shows the default or an example.
#
# Durations are "3d", "36h", "90m" or "0". Secrets are best written as
# env("NAME") or file("path"). `entrepot validate` checks this file.

listen     = "127.0.0.1:8080"
data_dir   = "data"
plugin_dir = "bin/plugins" # drop a plugin's binary in, name it below

# base_url = "https://packages.example.com"   # how clients reach us; default: as they ask
# hosts    = ["packages.example.com"]         # names accepted besides loopback and base_url's
# trusted_proxies = ["10.0.0.0/8"]            # may send X-Forwarded-Host (one of hosts), -Proto, -Prefix and -For

# tls {                                       # TLS 1.2 and later; changed files are read again
#   certificate = "packages.pem"              # with those that vouch for it
#   key         = "packages.key"
# }

# log_level  = "info"        # trace, debug, info, warn, error
# log_format = "text"        # or json
# access_log = "-"           # a file, "-" for standard output, "" for none
# audit_log  = "audit.log"   # who was refused, what was changed; default: audit.log in data_dir

# cache_size    = "50GB"     # cached bodies; the least recently used go first
# memory_cache  = "128MiB"   # small bodies kept in memory
# reserve_space = "256MiB"   # what cached bodies leave free on the disk

# Plugins run in a sandbox; what this machine cannot enforce is logged.
# sandbox_without = ["namespaces"]   # no_new_privs, seccomp, landlock, namespaces

# New versions are held back for a while: most attacks through packages are
# found within days. The most specific rule decides: package, then ecosystem,
# then default.
cooldown {
  default = "3d"

  # ecosystems = { npm = "7d", cargo = "0" }
  # packages   = { "pkg:npm/lodash" = "0", "pkg:npm/@acme/*" = "0" }
}

# A repository is named after its plugin and served at its name, from the
# plugin's default upstream, unless it says otherwise.
repository "npm" {}
repository "cargo" {}
repository "pypi" {}
repository "maven" {}
repository "nuget" {}

# Container images, at /v2/ where clients look for them: 127.0.0.1:8080/nginx is
# Docker Hub's. Others are called by their registry's name, as
# 127.0.0.1:8080/quay.io/prometheus/busybox with an upstream "quay.io".
repository "oci" {}

# Go's proxy and checksum database come from the variables GOPROXY and GOSUMDB,
# as `go env` prints them, or from here.
# repository "go" {
#   options {
#     proxy = "https://proxy.example.com,direct"
#     sumdb = "sum.example.com"
#   }
# }

# Signed archives: each upstream is one, served at /debian/NAME.
# repository "debian" {
#   upstream "main"     { url = "https://archive.example.com/debian" }
#   upstream "security" { url = "https://archive.example.com/security" }
# }

# Any files: each upstream is one folder, served at /generic/NAME. Files of one's
# own are put there with `curl -T FILE`, and those of a directory are served as
# they lie in it.
# repository "generic" {
#   upstream "tools" { url = "https://downloads.example.com/tools" }
#   hosted { names = ["acme/*"] }
# }

# Packages of Package Center: one's own, and those of other sources.
# repository "spk" {
#   upstream "main" { url = "https://packages.example.com" }
#   hosted { names = ["acme-*"] }
# }

# Artifacts of one's own, and results of builds.
# repository "company-maven" {
#   plugin  = "maven"
#   hosted  { names = ["com.acme", "com.acme.*", "build-cache/*"] }
#   options { build_cache = "100MiB" }       # Gradle's, at /company-maven/cache/
# }

# repository "company-npm" {
#   plugin = "npm"
#   path   = "/company/npm"
#
#   upstream "main" {
#     url      = "https://registry.example.com"
#     token    = env("REGISTRY_TOKEN")       # or username and password, or header and value
#     ca       = "company-ca.pem"            # trusted besides the system's
#     timeout  = "30s"
#     failover = true                        # ask the next upstream also when this one fails
#   }
#
#   anonymous = ["read"]     # what needs no token of `entrepot token create`: read, publish,
#                            # delete, admin. Default: ["read"] where only this machine can
#                            # reach the host, else nothing
#
#   ttl          = "5m"      # documents are not asked for again within
#   negative_ttl = "1m"      # the same for "not found"
#   max_stale    = "7d"      # how long they are served when upstream is down
#   unknown      = "serve"   # or "hold": what has no publish time at the first look, or only its author's
#   removed      = "refuse"  # or "serve": cached files of versions gone upstream
#   max_document = "256MiB"
#   max_artifact = "16GiB"
#   prefetch     = "0"       # a lagged state lists files that upstream may drop now that a newer one
#                            # does not: those of packages that clients use are fetched beforehand,
#                            # and of others so many bytes, the smallest files first
#   allow_hosts  = ["files.internal"]        # private hosts that documents may point at
#
#   hosted {                                 # packages of your own, published here
#     names     = ["@acme/*"]                # ours alone: upstream is never asked for them
#     merge     = ["left-*"]                 # both ours and upstream's
#     any       = false                      # true: any name may be published, and hides upstream's
#     overwrite = false                      # true: published files may be replaced
#     quota     = "100GB"                    # of all that is published, not of directories; default: no bound
#   }
#
#   directory "/srv/packages" {              # package files that lie there are served, too
#     match   = ["release/**.tgz"]           # default: all files
#     refresh = "1h"                         # how often it is looked at, besides at once when the
#                                            # system tells of a change, and on SIGHUP
#   }
# }

# plugin "npm" {
#   sha256 = "…"             # refuse any other binary
#   memory = "256MiB"        # what its garbage collector keeps within
#   idle   = "1m"            # stopped when nobody asks, started again by the next question; "0": never
# }
