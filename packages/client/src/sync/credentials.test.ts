import { createManualClock } from '@headwater/testkit'
import { expect, test, vi } from 'vitest'
import { systemClock } from '../clock.ts'
import type { Credentials } from '../connector.ts'
import { CredentialCache, FETCH_CREDENTIALS_MAX_MS } from './credentials.ts'

function numbered() {
  let count = 0
  return {
    fetch: () => Promise.resolve({ endpoint: 'https://service.test', token: `t${++count}` }),
    count: () => count,
  }
}

test('credentials are fetched once, also for many who need them at the same time', async () => {
  const app = numbered()
  const cache = new CredentialCache(app.fetch, systemClock)
  const all = await Promise.all([cache.read(), cache.read(), cache.read()])
  expect(all.map(({ token }) => token)).toEqual(['t1', 't1', 't1'])
  expect((await cache.read()).token).toBe('t1')
  expect(app.count()).toBe(1)
})

test('a refused token is fetched anew; the refusal of an older one changes nothing', async () => {
  const cache = new CredentialCache(numbered().fetch, systemClock)
  await cache.read()
  cache.discard('t1')
  expect((await cache.read()).token).toBe('t2')
  cache.discard('t1')
  expect((await cache.read()).token).toBe('t2')
})

test('fetching ahead of time that fails leaves the old ones', async () => {
  let fails = false
  const app = numbered()
  const cache = new CredentialCache(() => (fails ? Promise.reject(new Error('offline')) : app.fetch()), systemClock)
  await cache.read()
  fails = true
  await expect(cache.renew()).rejects.toThrow('offline')
  expect((await cache.read()).token).toBe('t1')
})

test('nobody signed in is said in words that apps look for', async () => {
  await expect(new CredentialCache(() => Promise.resolve(null), systemClock).read()).rejects.toThrow('Not signed in')
})

test.each([['https://service.test/'], ['service.test'], ['ftp://service.test']])(
  'the endpoint %s is refused by name',
  async (endpoint) => {
    const cache = new CredentialCache(() => Promise.resolve({ endpoint, token: 't' }), systemClock)
    await expect(cache.read()).rejects.toThrow(endpoint)
  },
)

test('an app that never answers is asked again, and what it says late counts', async () => {
  const clock = createManualClock()
  const answers = [Promise.withResolvers<Credentials>(), Promise.withResolvers<Credentials>()]
  let calls = 0
  const cache = new CredentialCache(() => answers[calls++]?.promise ?? Promise.resolve(null), clock)
  const first = cache.read()
  const outcome = expect(first).rejects.toMatchObject({ code: 'sync-interrupted' })
  await clock.advance(FETCH_CREDENTIALS_MAX_MS)
  await outcome
  const second = cache.read()
  expect(calls).toBe(2)
  answers[0]?.resolve({ endpoint: 'https://service.test', token: 'late' })
  await vi.waitFor(() => expect(cache.token).toBe('late'))
  answers[1]?.resolve({ endpoint: 'https://service.test', token: 'second' })
  await second
  expect(cache.token).toBe('second')
})

test('an answer that comes after a newer one changes nothing', async () => {
  const clock = createManualClock()
  const first = Promise.withResolvers<Credentials>()
  let calls = 0
  const newer = { endpoint: 'https://service.test', token: 'newer' }
  const cache = new CredentialCache(() => ((calls += 1) === 1 ? first.promise : Promise.resolve(newer)), clock)
  const outcome = expect(cache.read()).rejects.toMatchObject({ code: 'sync-interrupted' })
  await clock.advance(FETCH_CREDENTIALS_MAX_MS)
  await outcome
  await cache.read()
  first.resolve({ endpoint: 'https://service.test', token: 'older' })
  await first.promise
  await clock.advance(1)
  expect(cache.token).toBe('newer')
})
