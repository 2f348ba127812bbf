"""Small baselines that the network is compared with."""
