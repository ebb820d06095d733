"""Cluster moves in plain numpy; filled by the cluster builders."""
