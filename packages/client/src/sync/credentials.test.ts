import { expect, test } from 'vitest'
import { CredentialCache } from './credentials.ts'

function numbered() {
  let count = 0
  return {
    fetch: () => Promise.resolve({ endpoint: 'https://service.test', token: `t${++count}` }),
    count: () => count,
  }
}

test('credentials are fetched once, also for many who need them at the same time', async () => {
  const app = numbered()
  const cache = new CredentialCache(app.fetch)
  const all = await Promise.all([cache.read(), cache.read(), cache.read()])
  expect(all.map(({ token }) => token)).toEqual(['t1', 't1', 't1'])
  expect((await cache.read()).token).toBe('t1')
  expect(app.count()).toBe(1)
})

test('a refused token is fetched anew; the refusal of an older one changes nothing', async () => {
  const cache = new CredentialCache(numbered().fetch)
  await cache.read()
  cache.discard('t1')
  expect((await cache.read()).token).toBe('t2')
  cache.discard('t1')
  expect((await cache.read()).token).toBe('t2')
})

test('fetching ahead of time that fails leaves the old ones', async () => {
  let fails = false
  const app = numbered()
  const cache = new CredentialCache(() => (fails ? Promise.reject(new Error('offline')) : app.fetch()))
  await cache.read()
  fails = true
  await expect(cache.renew()).rejects.toThrow('offline')
  expect((await cache.read()).token).toBe('t1')
})

test('nobody signed in is said in words that apps look for', async () => {
  await expect(new CredentialCache(() => Promise.resolve(null)).read()).rejects.toThrow('Not signed in')
})

test.each([['https://service.test/'], ['service.test'], ['ftp://service.test']])(
  'the endpoint %s is refused by name',
  async (endpoint) => {
    const cache = new CredentialCache(() => Promise.resolve({ endpoint, token: 't' }))
    await expect(cache.read()).rejects.toThrow(endpoint)
  },
)
