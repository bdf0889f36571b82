"""What operators see of a running house: the view of the cluster, metrics, traces. Nothing here moves a job."""
