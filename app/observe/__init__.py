"""What is seen of the traffic: metrics, logs, traces."""
