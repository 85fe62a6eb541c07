/*
 * Sends what the OpenTelemetry JavaScript SDK makes of a known mix, through a Unix socket, and prints what it sent
 * as one line of JSON.
 *
 *   node sender.js SOCKET PROTOCOL COUNT      PROTOCOL: http/json, http/protobuf or grpc
 *
 * COUNT requests: a SERVER span, within it an INTERNAL and a CLIENT span. Over http/json also a counter, a histogram
 * and a log record for each request.
 */
"use strict";

const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = require("@opentelemetry/api");
const { SeverityNumber } = require("@opentelemetry/api-logs");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BasicTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");

const [socketPath, protocol, countText] = process.argv.slice(2);
const count = Number(countText);
const resource = resourceFromAttributes({ "service.name": "frontend", "service.namespace": "shop" });

const exporterOptions = (signal) => ({
  url: `http://weft/v1/${signal}`,
  httpAgentOptions: { socketPath, keepAlive: true },
});

function traceExporter() {
  if (protocol === "grpc") {
    const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-grpc");
    const { credentials } = require("@grpc/grpc-js");
    return new OTLPTraceExporter({ url: `unix://${socketPath}`, credentials: credentials.createInsecure() });
  }
  const kind = protocol === "http/json" ? "http" : "proto";
  const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${kind}`);
  return new OTLPTraceExporter(exporterOptions("traces"));
}

/* Every export must succeed: the SDK itself would only log it. */
function watched(exporter, problems) {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) =>
    send(items, (result) => {
      if (result.code !== 0) {
        problems.push(String(result.error));
      }
      done(result);
    });
  return exporter;
}

function codeOf(i) {
  return i % 10 === 0 ? 503 : i % 10 === 1 ? 404 : 200;
}

function sendRequest(tracer, i, ids) {
  const server = tracer.startSpan(
    `GET /cart/{id}`,
    {
      kind: SpanKind.SERVER,
      attributes: {
        "http.request.method": "GET",
        "http.route": "/cart/{id}",
        "http.response.status_code": codeOf(i),
        "url.path": `/cart/${i}`,
        "url.query": "token=hunter2",
        "request.tags": ["a", "b"],
        "request.ratio": 0.5,
        "request.cached": i % 2 === 0,
        "http.request.header.authorization": "hunter2",
      },
    },
    ROOT_CONTEXT,
  );
  const within = trace.setSpan(ROOT_CONTEXT, server);
  const internal = tracer.startSpan("price", { kind: SpanKind.INTERNAL, attributes: { step: "\u00fcber \u20ac \"quoted\"" } }, within);
  internal.addEvent("cache miss", { key: `item-${i}` });
  const client = tracer.startSpan(
    "GET",
    {
      kind: SpanKind.CLIENT,
      attributes: { "http.request.method": "GET", "server.address": "prices.shop", "server.port": 8080, "http.response.status_code": 200 },
      links: [{ context: internal.spanContext() }],
    },
    within,
  );
  if (codeOf(i) === 503) {
    server.setStatus({ code: SpanStatusCode.ERROR, message: "no stock" });
  }
  for (const span of [client, internal, server]) {
    span.end();
    ids.push([span.spanContext().traceId, span.spanContext().spanId]);
  }
}

async function sendTraces(problems) {
  const processor = new BatchSpanProcessor(watched(traceExporter(), problems), { maxQueueSize: 1 << 16 });
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  const tracer = provider.getTracer("sender", "1.0");
  const ids = [];
  for (let i = 0; i < count; i++) {
    sendRequest(tracer, i, ids);
  }
  await provider.forceFlush();
  await provider.shutdown();
  return ids;
}

async function sendMetrics(problems) {
  const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
  const { OTLPMetricExporter } = require("@opentelemetry/exporter-metrics-otlp-http");
  const exporter = watched(new OTLPMetricExporter(exporterOptions("metrics")), problems);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3600000 });
  const provider = new MeterProvider({ resource, readers: [reader] });
  const meter = provider.getMeter("sender");
  const orders = meter.createCounter("orders", { unit: "1" });
  const sizes = meter.createHistogram("order.size", { unit: "By", advice: { explicitBucketBoundaries: [10, 100, 1000] } });
  for (let i = 0; i < count; i++) {
    orders.add(2, { kind: i % 2 === 0 ? "even" : "odd" });
    sizes.record(5 * (i + 1));
  }
  await provider.shutdown();
}

async function sendLogs(problems) {
  const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");
  const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-http");
  const exporter = watched(new OTLPLogExporter(exporterOptions("logs")), problems);
  const provider = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor(exporter)] });
  const logger = provider.getLogger("sender");
  for (let i = 0; i < count; i++) {
    logger.emit({ severityNumber: SeverityNumber.INFO, severityText: "INFO", body: `order ${i}`, attributes: { i, nested: { a: [1, "x"] } } });
  }
  await provider.shutdown();
}

async function main() {
  const problems = [];
  const ids = await sendTraces(problems);
  if (protocol === "http/json") {
    await sendMetrics(problems);
    await sendLogs(problems);
  }
  console.log(JSON.stringify({ ids, problems }));
  process.exit(problems.length === 0 ? 0 : 1);
}

main().catch((problem) => {
  console.error(problem);
  process.exit(2);
});
