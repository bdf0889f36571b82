"""The services of the cluster; none imports another."""
