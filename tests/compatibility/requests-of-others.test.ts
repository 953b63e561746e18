/** Requests as clients send them that cannot be run here: those before 2024, and SDKs of other platforms. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openStage, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
})
afterAll(() => stage[Symbol.asyncDispose]())

const OLDEST = { buckets: [], include_checksum: true }
const MIDDLE = { ...OLDEST, raw_data: true, client_id: '0fcdb1ce-35d7-44fc-b21a-7a5849e946ac', parameters: {} }
const CURRENT = {
  ...MIDDLE,
  binary_data: true,
  parameters: null,
  app_metadata: {},
  streams: { include_defaults: true, subscriptions: [] },
}

/** What a client sends, and whether rows come as nested JSON, as the oldest expect them, or as text. */
const REQUESTS = {
  'before `raw_data`': { body: OLDEST, isNested: true },
  'Dart before 1.8': { body: { ...OLDEST, raw_data: true }, isNested: false },
  'Dart, Kotlin and Swift before streams': { body: MIDDLE, isNested: false },
  'Kotlin and Swift with streams, and no parameters': { body: CURRENT, isNested: false },
} as const

type WireLine = {
  readonly checkpoint?: { readonly buckets: readonly { readonly bucket: string; readonly checksum: number }[] }
  readonly data?: {
    readonly bucket: string
    readonly data: readonly { readonly data: unknown; readonly checksum: number }[]
  }
}

describe.each(Object.entries(REQUESTS))('%s', (_, { body, isNested }) => {
  test('gets rows in its form, with sums that add up as signed integers', async () => {
    const user = await stage.addUser()

    const lines = await downloadRows(user, body)

    const [first] = lines
    expect(Object.keys(first ?? {})).toEqual(['checkpoint'])
    expect(Object.keys(lines.at(-1) ?? {})).toEqual(['checkpoint_complete'])
    const operations = lines.flatMap(({ data }) => data?.data ?? [])
    const rows = [
      { id: `${user}L1`, name: 'Groceries', owner_id: user },
      { id: `${user}L2`, name: 'Zoë 🛒', owner_id: user },
    ]
    expect(operations.map(({ data }) => data)).toEqual(isNested ? rows : rows.map((row) => JSON.stringify(row)))
    const sum = operations.reduce((total, { checksum }) => (total + checksum) | 0, 0)
    expect(first?.checkpoint?.buckets.find(({ bucket }) => bucket.startsWith('lists'))?.checksum).toBe(sum)
  })
})

/** What was committed just now is not in the first checkpoint yet, unless it was replicated by then. */
function downloadRows(user: string, body: object): Promise<readonly WireLine[]> {
  return vi.waitUntil(
    async () => {
      const lines = await download(user, body)
      return lines.some(({ data }) => data !== undefined) && lines
    },
    { timeout: 20_000 },
  )
}

/** Every line up to the end of the first checkpoint. */
async function download(user: string, body: object): Promise<readonly WireLine[]> {
  const { endpoint, token } = await stage.app.fetchCredentials(user)
  const abort = new AbortController()
  const response = await fetch(`${endpoint}/sync/stream`, {
    method: 'POST',
    headers: { authorization: `Token ${token}`, 'content-type': 'application/json', accept: 'application/x-ndjson' },
    body: JSON.stringify(body),
    signal: abort.signal,
  })
  expect(response.status).toBe(200)
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    if (/^\{"checkpoint_complete".*\n$/m.test(text)) break
  }
  abort.abort()
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as WireLine)
}
