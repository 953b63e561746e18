import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { formatMetricsDoc } from '../../../../scripts/metrics-doc.ts'
import { createMetrics, METRIC_TABLE, type MetricEntry } from './metrics.ts'

describe('metrics', () => {
  test('appear in the registry that was passed in, and in no other', async () => {
    const [first, second] = [new Registry(), new Registry()]
    createMetrics(second)
    const metrics = createMetrics(first)

    metrics.add('headwater_http_requests_total', 2, { route: '/sync/stream', status: '200' })
    metrics.set('headwater_replication_lag_bytes', 5)
    metrics.change('headwater_sync_streams_count', 3, { transport: 'http' })
    metrics.change('headwater_sync_streams_count', -1, { transport: 'http' })
    metrics.observe('headwater_replication_batch_seconds', 0.02)

    const text = await first.metrics()
    expect(text).toContain('headwater_http_requests_total{route="/sync/stream",status="200"} 2')
    expect(text).toContain('headwater_replication_lag_bytes 5')
    expect(text).toContain('headwater_sync_streams_count{transport="http"} 2')
    expect(text).toContain('headwater_replication_batch_seconds_bucket{le="0.025"} 1')
    expect(await second.metrics()).toContain('headwater_replication_lag_bytes 0')
  })

  test('have names that end in their unit, in alphabetical order', () => {
    const entries: [string, MetricEntry][] = Object.entries(METRIC_TABLE)
    const names = entries.map(([name]) => name)
    expect(names).toEqual(names.toSorted())
    for (const [name, { kind }] of entries) {
      expect(name).toMatch(kind === 'counter' ? /_total$/ : /_(bytes|seconds|count)$/)
    }
  })

  test('are what docs/reference/metrics.md says', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../../docs/reference/metrics.md'), 'utf8')
    expect(
      page,
      'docs/reference/metrics.md differs from the table: run `npx node --conditions=@headwater/source scripts/write-metrics-doc.ts`',
    ).toBe(formatMetricsDoc())
  })
})
