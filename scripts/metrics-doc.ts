import { METRIC_TABLE, type MetricEntry } from '../packages/service/src/observe/metrics.ts'

/** The text of `docs/reference/metrics.md`. */
export function formatMetricsDoc(table: Readonly<Record<string, MetricEntry>> = METRIC_TABLE): string {
  const rows = Object.entries(table).map(
    ([name, { kind, help, labels }]) => `| \`${name}\` | ${kind} | ${labels.join(', ')} | ${help} |`,
  )
  return `# Metrics

The service answers \`GET /metrics\` in the text format of Prometheus. Names end in their unit.

This page is written from the table in \`packages/service/src/observe/metrics.ts\` by
\`npx node --conditions=@headwater/source scripts/write-metrics-doc.ts\`.

| name | kind | labels | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
`
}
