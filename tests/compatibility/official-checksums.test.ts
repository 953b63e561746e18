import { describe, expect, test } from 'vitest'
import { appOf, checkpoint, complete, data, put } from './scripted-lines.ts'
import { startScriptedService } from './scripted-service.ts'
import { openDevice } from './ways.ts'

const CASES = [
  ['node 1.1, NDJSON', 'ndjson'],
  ['node 1.1, BSON', 'bson'],
] as const

describe.each(CASES)('%s', (name, format) => {
  test('takes any operation checksums, as long as they add up', async () => {
    // No hash of anything: the sum 4294967295 + 5 also wraps around 2^32.
    const operations = [put(1, 'L1', 4_294_967_295, 'Groceries'), put(2, 'L2', 5, 'Garden')]
    await using service = await startScriptedService(format, () => [checkpoint(2, 4), data(operations), complete(2)])
    await using device = await openDevice(name, appOf(service.url))

    await device.connect('ann')

    await device.expectRows('SELECT id, name FROM lists ORDER BY id', [
      { id: 'L1', name: 'Groceries' },
      { id: 'L2', name: 'Garden' },
    ])
    expect(service.requests).toHaveLength(1)
  })

  test('shows nothing of a bucket whose sum is wrong, and asks for it again from the start', async () => {
    const wrong = [checkpoint(1, 8), data([put(1, 'L1', 7, 'Wrong')]), complete(1)]
    const right = [checkpoint(1, 7), data([put(1, 'L1', 7, 'Right')]), complete(1)]
    await using service = await startScriptedService(format, (_, index) => (index === 0 ? wrong : right))
    await using device = await openDevice(name, appOf(service.url))

    await device.connect('ann')

    await device.expectRows('SELECT id, name FROM lists', [{ id: 'L1', name: 'Right' }])
    expect(service.requests.map(({ buckets }) => buckets)).toEqual([[], []])
  })
})
