"""Where it runs: the engine protocol with its fake, the local engine, JupyterHub's Spawner."""
