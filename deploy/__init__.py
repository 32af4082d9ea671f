"""Set-up of a checkout: environments, the proxy, peers that tests need. Standard library only."""
