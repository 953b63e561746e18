import { describe, expect, test } from 'vitest'
import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { readStream, SILENCE_MAX_MS } from './stream.ts'
import type { StreamItem } from './stream.ts'

const data = (bucket: string, id: number) =>
  `{"data":{"bucket":${JSON.stringify(bucket)},"data":[{"op_id":"${id}","op":"MOVE","checksum":1}]}}`

function bodyOf(...chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
}

async function readAll(body: ReadableStream<Uint8Array>, clock: Clock = systemClock): Promise<StreamItem[]> {
  const items: StreamItem[] = []
  const { signal } = new AbortController()
  for await (const item of readStream({ body, format: 'ndjson' }, { clock, signal })) items.push(item)
  return items
}

describe('a stream of lines', () => {
  const text = `${data('zoë "quoted"', 1)}\n${data('b', 2)}\n\n{"token_expires_in":60}\n${data('b', 3)}\n`
  const expected: StreamItem[] = [
    {
      kind: 'data',
      lines: [
        { bucket: 'zoë "quoted"', text: data('zoë "quoted"', 1) },
        { bucket: 'b', text: data('b', 2) },
      ],
    },
    { kind: 'line', line: { kind: 'token-expires-in', seconds: 60 } },
    { kind: 'data', lines: [{ bucket: 'b', text: data('b', 3) }] },
  ]

  test('hands on data together, up to a line of another kind', async () => {
    expect(await readAll(bodyOf(new TextEncoder().encode(text)))).toEqual(expected)
  })

  test('reads the same wherever the bytes are cut', async () => {
    const bytes = new TextEncoder().encode(text)
    for (const size of [1, 2, 3, 7, 64]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.slice(index * size, (index + 1) * size),
      )
      expect(await readAll(bodyOf(...chunks))).toEqual(expected)
    }
  })

  test('[protocol 89] that ends inside a line is an error', async () => {
    await expect(readAll(bodyOf(new TextEncoder().encode('{"token_exp')))).rejects.toMatchObject({
      code: 'truncated-stream',
    })
  })

  test('reads a data line whose keys stand in another order', async () => {
    const line =
      '{"data":{"data":[{"op_id":"1","op":"PUT","object_type":"t","object_id":"i","checksum":5,"data":"{}"}],"after":"0","next_after":"1","has_more":false,"bucket":"b"}}'
    const [item] = await readAll(bodyOf(new TextEncoder().encode(`${line}\n`)))
    expect(item).toMatchObject({ kind: 'data', lines: [{ bucket: 'b' }] })
  })

  test('[protocol 101] that falls silent is given up', async () => {
    const waits: number[] = []
    const clock: Clock = {
      ...systemClock,
      wait: (delayMs) => {
        waits.push(delayMs)
        return Promise.resolve()
      },
    }
    await expect(readAll(new ReadableStream(), clock)).rejects.toMatchObject({ code: 'sync-interrupted' })
    expect(waits).toEqual([SILENCE_MAX_MS])
  })

  test('may take any time for one long line, as long as bytes come', async () => {
    const bytes = new TextEncoder().encode('{"token_expires_in":60}\n')
    let at = 0
    let waits = 0
    const clock: Clock = {
      ...systemClock,
      wait: (_, signal) => {
        waits += 1
        return systemClock.wait(60_000, signal)
      },
    }
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (at === bytes.length) controller.close()
        else controller.enqueue(bytes.subarray(at, ++at))
      },
    })
    expect(await readAll(body, clock)).toHaveLength(1)
    expect(waits).toBeGreaterThan(bytes.length)
  })
})
