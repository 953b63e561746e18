import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createMetrics, type Metrics } from '../observe/metrics.ts'
import { GatheredMetrics } from './gathered-metrics.ts'

test('values of several processes are added up, each by its labels', async () => {
  const { gathered, own, startProcess } = open()
  own.add('headwater_replication_rows_total', 1)
  for (const status of ['200', '429']) {
    const { note, metrics } = startProcess()
    metrics.add('headwater_http_requests_total', 3, { route: '/metrics', status: '200' })
    metrics.add('headwater_http_requests_total', 1, { status, route: '/metrics' })
    metrics.observe('headwater_sync_checkpoint_seconds', 0.02)
    await note()
  }
  const lines = (await gathered.format()).split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'headwater_replication_rows_total 1',
      'headwater_http_requests_total{route="/metrics",status="200"} 7',
      'headwater_http_requests_total{status="429",route="/metrics"} 1',
      'headwater_sync_checkpoint_seconds_bucket{le="0.025"} 2',
      'headwater_sync_checkpoint_seconds_count 2',
    ]),
  )
})

test('what an ended process has counted stays, and what it had open does not', async () => {
  const { gathered, startProcess } = open()
  for (let n = 1; n <= 3; n++) {
    const { note, metrics, end } = startProcess()
    metrics.add('headwater_sync_operations_sent_total', 10)
    metrics.change('headwater_websocket_connections_count', 1)
    metrics.observe('headwater_sync_checkpoint_seconds', 0.02)
    await note()
    expect(await gathered.format()).toContain(`headwater_sync_operations_sent_total ${n * 10}\n`)
    end()
    const text = await gathered.format()
    expect(text).toContain(`headwater_sync_operations_sent_total ${n * 10}\n`)
    expect(text).toContain(`headwater_sync_checkpoint_seconds_count ${n}\n`)
    expect(text).toContain('headwater_websocket_connections_count 0\n')
  }
})

test('what every process knows the same of is not added up', async () => {
  const { gathered, own, startProcess } = open()
  own.set('headwater_revocations_count', 5)
  const { note, metrics } = startProcess()
  metrics.set('headwater_revocations_count', 5)
  await note()
  expect(await gathered.format()).toContain('headwater_revocations_count 5\n')
})

function open(): {
  readonly gathered: GatheredMetrics
  readonly own: Metrics
  readonly startProcess: () => {
    readonly metrics: Metrics
    readonly note: () => Promise<void>
    readonly end: () => void
  }
} {
  const registry = new Registry()
  const gathered = new GatheredMetrics(registry)
  return {
    gathered,
    own: createMetrics(registry),
    startProcess: () => {
      const of = new Registry()
      return {
        metrics: createMetrics(of),
        note: async () => gathered.note(of, await of.getMetricsAsJSON()),
        end: () => gathered.noteEnd(of),
      }
    },
  }
}
