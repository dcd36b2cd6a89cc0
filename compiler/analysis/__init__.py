"""Facts about values, computed over the graph and asked for by passes."""
