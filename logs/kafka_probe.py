"""Why a Kafka cluster can not be reached: placeholder, the stages come next."""

from logs.kafka_security import KafkaSecurity


def diagnose(bootstrap: str, security: KafkaSecurity | None) -> str:  # noqa: ARG001
    """One sentence."""
    return "it does not answer"
