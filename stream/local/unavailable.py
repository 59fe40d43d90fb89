"""The one error of this package: no Kafka to run against, in words that say what to do."""


class KafkaUnavailable(RuntimeError):
    """No broker is configured and none can be started here.

    Parameters
    ----------
    cause : str
        What was tried and what came of it.

    Attributes
    ----------
    exit_code : int
        What a command that needs Kafka exits with: 2, as for a wrong option.
    """

    exit_code = 2

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)

    def __str__(self) -> str:
        return (
            "no Kafka to run against, and none could be started here\n"
            f"  cause: {self.cause}\n"
            "Any one of these helps:\n"
            "  1. use a running broker:   export ALLOCATOR_KAFKA_BOOTSTRAP=host:9092\n"
            "  2. start one with Docker:  docker compose up -d --wait kafka"
            " && export ALLOCATOR_KAFKA_BOOTSTRAP=localhost:9092\n"
            "  3. use an unpacked Kafka:  export KAFKA_HOME=/opt/kafka   (needs Java 17 or newer)\n"
            "  4. behind a proxy:         export HTTPS_PROXY=… REQUESTS_CA_BUNDLE=…, then try again"
        )
