"""A real Apache Kafka on a machine that has only Python: for development, the demo, benchmarks and tests.

    with local_kafka() as bootstrap:      # ALLOCATOR_KAFKA_BOOTSTRAP when set: then nothing is started
        ...

Three parts: `java` finds a Java runtime, `jars` finds Kafka's own jars and proves them by their sha256,
`broker` runs one node of them. There is no silent substitute: when no broker can be started,
`KafkaUnavailable` says why and what would help. Not for production, where somebody runs Kafka.
"""

from stream.local.broker import LocalKafka, kafka_or_exit, local_kafka
from stream.local.unavailable import KafkaUnavailable

__all__ = ["KafkaUnavailable", "LocalKafka", "kafka_or_exit", "local_kafka"]
