"""Names of OpenTelemetry's semantic conventions: dots, where a registry has `/` and `_`.

The attributes: https://opentelemetry.io/docs/specs/semconv/registry/attributes/
"""

Attribute = str | bool | int | float
"""Value of an attribute."""

ATTRIBUTES = """
client.address client.port
code.file.path code.function.name
cpu.logical_number cpu.mode
cpython.gc.generation
db.client.connection.pool.name db.client.connection.state db.collection.name db.namespace
db.operation.batch.size db.operation.name db.query.summary db.response.status_code
db.stored_procedure.name db.system.name
deployment.environment.name
disk.io.direction
dns.question.name
error.type
exception.type
faas.coldstart faas.invoked_name faas.invoked_provider faas.invoked_region faas.trigger
gen_ai.agent.name gen_ai.operation.name gen_ai.provider.name gen_ai.request.model
gen_ai.response.model gen_ai.token.type gen_ai.tool.name
graphql.operation.name graphql.operation.type
host.id host.name
http.connection.state http.request.method http.request.method_original http.request.resend_count
http.response.status_code http.route
messaging.client.id messaging.consumer.group.name messaging.destination.anonymous
messaging.destination.name messaging.destination.partition.id
messaging.destination.subscription.name messaging.destination.template
messaging.destination.temporary messaging.operation.name messaging.operation.type messaging.system
network.connection.state network.connection.subtype network.connection.type network.interface.name
network.io.direction network.local.address network.local.port network.peer.address
network.peer.port network.protocol.name network.protocol.version network.transport network.type
otel.component.name otel.component.type
process.context_switch.type process.executable.name process.pid process.runtime.name
process.runtime.version process.state
rpc.connect_rpc.error_code rpc.grpc.status_code rpc.jsonrpc.error_code rpc.jsonrpc.version
rpc.method rpc.response.status_code rpc.service rpc.system rpc.system.name
server.address server.port
service.instance.id service.name service.namespace service.peer.name service.version
system.device system.filesystem.mode system.filesystem.mountpoint system.filesystem.state
system.filesystem.type system.memory.state system.network.state system.paging.direction
system.paging.fault.type system.paging.state system.paging.type
thread.name
url.domain url.full url.path url.port url.scheme url.template
user_agent.name user_agent.synthetic.type
"""
"""Attributes that the conventions have on data points."""

DOTTED = {name.replace(".", "_"): name for name in ATTRIBUTES.split()}
"""Attributes by label, as Prometheus writes them."""

RATE = ".rate"
"""Suffix of the gauge of an instrument's rates."""

QUANTILE = ".quantile"
"""Suffix of the gauge of a sample's quantiles."""


def attribute_name(label: str) -> str:
    """Return the attribute of a label: `http.route` for `http_route`; any other is the label."""
    return DOTTED.get(label, label)


def metric_name(name: str, number: int = 1) -> str:
    """Return the name of a metric: `http.server.request.duration`, with its number if not 1."""
    dotted = name.replace("/", ".")
    return dotted if number == 1 else f"{dotted}_{number}"
