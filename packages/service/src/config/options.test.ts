import { expect, test } from 'vitest'
import { mergeSettings, parseServiceOptions } from './options.ts'

const smallest = {
  source: { url: 'postgresql://localhost/app' },
  syncConfig: { content: 'streams: {}' },
  auth: { secret: 'a shared secret' },
}

test('everything but the source, the sync config and the keys has a default', () => {
  expect(parseServiceOptions(smallest)).toMatchObject({
    source: { publication: 'headwater', slot: 'headwater' },
    http: { host: '127.0.0.1', port: 8080 },
    storage: { path: '.headwater/storage' },
  })
})

test('a misspelt setting is refused by name', () => {
  expect(() => parseServiceOptions({ ...smallest, http: { prot: 1 } })).toThrow(/http: .*prot/)
})

test('settings without any key for tokens are refused, and the message says which to give', () => {
  expect(() => parseServiceOptions({ ...smallest, auth: {} })).toThrow(/auth\.secret, auth\.keys or auth\.jwksUrls/)
})

test('keys from a server are taken only together with an audience, as it signs tokens for others, too', () => {
  const auth = { jwksUrls: ['https://example.com/jwks.json'] }
  expect(() => parseServiceOptions({ ...smallest, auth })).toThrow(/auth\.jwksUrls without auth\.audience/)
  expect(parseServiceOptions({ ...smallest, auth: { ...auth, audience: ['app'] } }).auth.audience).toEqual(['app'])
  const supabase = { supabaseJwtSecret: 'its tokens have an audience of their own' }
  expect(parseServiceOptions({ ...smallest, auth: supabase }).auth.audience).toEqual([])
})

test('flags lie over the environment, and the environment over the file', () => {
  const merged = mergeSettings(
    { http: { port: 1, host: 'file' }, source: { url: 'from the file' } },
    { HEADWATER_PORT: '2', HEADWATER_AUDIENCE: 'a, b' },
    { http: { port: 3, host: undefined } },
  )

  expect(merged).toEqual({
    http: { port: 3, host: 'file' },
    source: { url: 'from the file' },
    auth: { audience: ['a', 'b'] },
  })
})

test('without a source the message says how to give one', () => {
  for (const source of [undefined, {}, { url: '' }]) {
    expect(() => parseServiceOptions({ ...smallest, source })).toThrow(
      /source.*: .*--database-url, HEADWATER_SOURCE_URL or source\.url in headwater\.yaml/,
    )
  }
})

test('a wrong value of an environment variable is refused by the name of the variable, unless a flag replaces it', () => {
  expect(() => mergeSettings({}, { HEADWATER_PORT: 'abc' }, {})).toThrow(/HEADWATER_PORT, .*http\.port: .*number/)
  expect(() => mergeSettings({}, { HEADWATER_LOG_LEVEL: 'loud' }, {})).toThrow(/HEADWATER_LOG_LEVEL.*"warn"/)
  expect(mergeSettings({}, { HEADWATER_PORT: 'abc' }, { http: { port: 3 } })).toEqual({ http: { port: 3 } })
})
