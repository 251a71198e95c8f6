"""The policies of other servers and papers, each as its source describes it."""
