"""The lab: policies over recorded answers. The same decisions as live, no network, and correctness only for scoring."""
