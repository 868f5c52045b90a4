"""Configurations in the shapes in which operators have them: every way of TOML to write the same tables."""

_REQUIRED = """
  url = "https://gitlab.example"
  token = "glrt-t1_{token}"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "made-up"
"""

DOCKER_AND_CACHE = f"""\
concurrent = 10
check_interval = 0
log_level = "warn"
shutdown_timeout = 0

[session_server]
  session_timeout = 1800

[[runners]]
  name = "build"
{_REQUIRED.format(token="aaaaaaaaaaaaaaaa")}
  limit = 4
  output_limit = 8192
  environment = ["DOCKER_TLS_CERTDIR=/certs", "A=b c", '''
LINES=1
2''']
  pre_build_script = '''
    echo "[[runners]]" # no section
    export PATH="$PATH:/opt/bin"
  '''
  [runners.custom_build_dir]
    enabled = true
  [runners.feature_flags]
    FF_NETWORK_PER_BUILD = true
    ff_network_per_build = false
  [runners.cache]
    Type = "s3"
    Path = "prefix"
    Shared = true
    [runners.cache.s3]
      ServerAddress = "s3.example"
      AccessKey = "made-up"
      SecretKey = "made-up"
      BucketName = "cache"
      Insecure = false
  [runners.docker]
    image = "debian:bookworm"
    privileged = false
    volumes = ["/cache", "C:\\\\builds:/builds"]
    allowed_images = ["ruby:*", "my.registry.tld:5000/*:*"]
    memory = "512m"
    shm_size = 300000
    [runners.docker.sysctls]
      "net.ipv4.ip_forward" = "1"
    [[runners.docker.services]]
      name = "mysql:8"
      alias = "db"
    [[runners.docker.services]]
      name = "redis"
      command = ["--save", ""]
"""

DOTTED_AND_INLINE = f"""\
"concurrent" = 2  # as one may write it
[[runners]]
  name = 'Läufer "één"'
{_REQUIRED.format(token="bbbbbbbbbbbbbbbb")}
  docker.image = "alpine"
  docker.tmpfs = {{"/tmp" = "rw", "/run" = "rw,noexec"}}
  cache = {{Type = "gcs", gcs = {{BucketName = "b"}}}}
  unhealthy_interval = "1m"
  [runners.paas_job_trace_watch]
    timeout_seconds = 120
"""

TWO_ON_KUBERNETES = f"""\
concurrent = 5
listen_address = ":9252"
[[runners]]
  name = "first"
{_REQUIRED.format(token="cccccccccccccccc")}
  [runners.kubernetes]
    namespace = "ci"
    [runners.kubernetes.node_selector]
      "example.com/Pool" = "a"
      "example.com/pool" = "b"
    [[runners.kubernetes.volumes.host_path]]
      name = "docker"
      mount_path = "/var/run/docker.sock"
    [runners.kubernetes.affinity]
      [runners.kubernetes.affinity.node_affinity]
        [[runners.kubernetes.affinity.node_affinity.preferred_during_scheduling_ignored_during_execution]]
          weight = 1
          [runners.kubernetes.affinity.node_affinity.preferred_during_scheduling_ignored_during_execution.preference]
            [[runners.kubernetes.affinity.node_affinity.preferred_during_scheduling_ignored_during_execution.preference.match_expressions]]
              key = "zone"
              operator = "In"
              values = ["one", "two"]
[[runners]]
  name = "second"
{_REQUIRED.format(token="dddddddddddddddd")}
  request_concurrency = 1
  [runners.machine]
    IdleCount = 1
    MachineOptions = ["engine-registry-mirror=http://10.0.0.1"]
    [[runners.machine.autoscaling]]
      Periods = ["* * 9-17 * * mon-fri *"]
      IdleTime = 600
"""

OPERATORS_FILES = (DOCKER_AND_CACHE, DOTTED_AND_INLINE, TWO_ON_KUBERNETES)
