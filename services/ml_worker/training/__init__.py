"""Where the worker's bundles are made: data, network, training, export, evaluation. Never imported to serve."""
