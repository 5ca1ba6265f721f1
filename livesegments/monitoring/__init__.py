"""What a worker shows of itself over HTTP: figures for Prometheus, whether it is alive, whether it is ready."""
