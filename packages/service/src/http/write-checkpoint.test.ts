import { HeadwaterError, toOpId } from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import { AUTHORIZED, json, JSON_TYPE, start, withToken } from './http-server.test-parts.ts'

describe('a write checkpoint', () => {
  test('[protocol 1, 5, 9, 72, 73] is a decimal string, for the user alone or for the user and the client', async () => {
    const keys: string[] = []
    const { url } = await start({
      requestWriteCheckpoint: async (key) => {
        keys.push(key)
        return 1_800_000_000_000_001n
      },
    })
    const headers = { ...AUTHORIZED, 'content-type': 'application/json' }
    const response = await fetch(`${url}/write-checkpoint2.json?client_id=c-01`, { headers })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, JSON_TYPE])
    expect(await response.text()).toBe('{"data":{"write_checkpoint":"1800000000000001"}}')
    await fetch(`${url}/write-checkpoint2.json`, { headers })
    expect(keys).toEqual(['u1/c-01', 'u1'])
  })

  test('without an active sync config is 500 S2302, which clients retry', async () => {
    const { url } = await start({
      requestWriteCheckpoint: () =>
        Promise.reject(new HeadwaterError('no-sync-config', 'Cannot record: no source yet')),
    })
    const response = await fetch(`${url}/write-checkpoint2.json`, { headers: AUTHORIZED })
    expect([response.status, await response.json()]).toMatchObject([500, { error: { code: 'PSYNC_S2302' } }])
  })

  test('while the source is away is 503 with a time to come back, and no word of where the source is', async () => {
    const { url } = await start({
      requestWriteCheckpoint: () =>
        Promise.reject(new HeadwaterError('source-unreachable', 'connect ECONNREFUSED 10.0.0.7')),
    })
    const response = await fetch(`${url}/write-checkpoint2.json`, { headers: AUTHORIZED })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await response.text()).not.toContain('10.0.0.7')
  })

  test('takes the name of the client as it is, and passes over fields that it does not know', async () => {
    const keys: string[] = []
    const { url } = await start({
      requestWriteCheckpoint: async (key) => {
        keys.push(key)
        return 1n
      },
    })
    const ask = (query: string) => fetch(`${url}/write-checkpoint2.json${query}`, { headers: AUTHORIZED })
    for (const query of [
      '?client_id=',
      '?client_id=a%2Fb',
      '?client_id=%F0%9F%9B%92&later=1',
      '?client_id=5',
      '?later=1',
    ]) {
      expect((await ask(query)).status).toBe(200)
    }
    expect(keys).toEqual(['u1/', 'u1/a/b', 'u1/\u{1F6D2}', 'u1/5', 'u1'])
  })

  test('needs no more than a name of a thousand characters', async () => {
    const { url } = await start()
    const response = await fetch(`${url}/write-checkpoint2.json?client_id=${'c'.repeat(1_001)}`)
    expect([response.status, await response.json()]).toMatchObject([400, { error: { code: 'PSYNC_S2001' } }])
  })

  test('of the oldest clients is the id of the checkpoint that has their writes', async () => {
    const keys: string[] = []
    const { url } = await start({
      awaitCheckpoint: async (key) => {
        keys.push(key)
        return toOpId(9_007_199_254_740_993n)
      },
    })
    const response = await fetch(`${url}/write-checkpoint.json?client_id=c-01`, { headers: AUTHORIZED })
    expect([response.status, await response.text()]).toEqual([200, '{"data":{"checkpoint":"9007199254740993"}}'])
    expect(keys).toEqual(['u1/c-01'])
    expect((await fetch(`${url}/write-checkpoint.json`)).status).toBe(401)
  })
})

describe('a checkpoint request', () => {
  test.each([
    ['"7"', 7n],
    ['7', 7n],
    ['"9223372036854775807"', 9_223_372_036_854_775_807n],
  ])('[protocol 1, 5, 77, 78] with the number %s is answered with the number that is stored', async (text, number) => {
    const asked: [string, bigint][] = []
    const { url } = await start({
      requestCheckpointNumber: async (key, wanted) => {
        asked.push([key, wanted])
        return 9_223_372_036_854_775_807n
      },
    })
    const body = `{"client_id":"c-01","checkpoint_request_id":${text},"later":1}`
    const response = await fetch(`${url}/sync/checkpoint-request`, {
      method: 'POST',
      body,
      headers: { ...AUTHORIZED, 'content-type': 'application/json' },
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, JSON_TYPE])
    expect(await response.text()).toBe('{"data":{"checkpoint_request_id":"9223372036854775807"}}')
    expect(asked).toEqual([['u1/c-01', number]])
  })

  test.each([
    [{ client_id: 'c-01', checkpoint_request_id: '0' }],
    [{ client_id: 'c-01', checkpoint_request_id: -1 }],
    [{ client_id: 'c-01', checkpoint_request_id: '9223372036854775808' }],
    [{ client_id: 'c-01', checkpoint_request_id: 1.5 }],
    [{ client_id: 'c-01' }],
    [{ checkpoint_request_id: 1 }],
  ])('[protocol 78] of %j is 400, even without a token', async (body) => {
    const { url } = await start()
    const response = await fetch(`${url}/sync/checkpoint-request`, { method: 'POST', ...json(body) })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: { code: 'PSYNC_S2001', description: 'Validation failed', name: 'ValidationError' },
    })
  })

  test('[protocol 2] needs a token', async () => {
    const { url } = await start()
    const body = json({ client_id: 'c-01', checkpoint_request_id: 1 })
    expect((await fetch(`${url}/sync/checkpoint-request`, { method: 'POST', ...body })).status).toBe(401)
    expect((await fetch(`${url}/sync/checkpoint-request`, withToken(body))).status).toBe(200)
  })
})
