"""Kafka: clients and what is mended in them, topics, the transaction of a round, the transport and store for Faust."""
