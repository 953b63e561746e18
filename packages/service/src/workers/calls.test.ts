import { HeadwaterError } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { answerCall, Caller, type MainFunctions, toMainFunctions } from './calls.ts'
import { NO_OPERATOR } from '../http/http-server.test-parts.ts'

test('a call is answered as if the function were here', async () => {
  const caller = connect({ requestCheckpointNumber: async (key, number) => BigInt(key.length) + number })
  expect(await caller.forward('requestCheckpointNumber')('ann', 7n)).toBe(10n)
})

test('an error that is known keeps its code and words, and any other its stack', async () => {
  const caller = connect({
    requestWriteCheckpoint: async () => {
      throw new HeadwaterError('no-sync-config', 'Nothing yet')
    },
    readHealth: () => Promise.reject(new TypeError('a defect')),
  })
  const known = caller.forward('requestWriteCheckpoint')('ann')
  await expect(known).rejects.toMatchObject({ name: 'HeadwaterError', code: 'no-sync-config', message: 'Nothing yet' })
  const defect: unknown = await caller
    .forward('readHealth')()
    .catch((error: unknown) => error)
  expect(defect).toMatchObject({ message: 'a defect', stack: expect.stringContaining('calls.test.ts') as unknown })
  expect(defect).not.toBeInstanceOf(HeadwaterError)
})

test('results find their calls in whatever order they come', async () => {
  const ids: number[] = []
  const caller = new Caller({ send: ({ id }) => void ids.push(id) })
  const ask = caller.forward('requestWriteCheckpoint')
  const answers = [ask('a'), ask('b'), ask('c')]
  for (const id of ids.toReversed()) caller.settle(id, { kind: 'value', value: BigInt(id) })
  expect(await Promise.all(answers)).toEqual(ids.map(BigInt))
})

test('a call that gets no answer is given up, and an answer that comes later is dropped', async () => {
  const ids: number[] = []
  const caller = new Caller({ send: ({ id }) => void ids.push(id), timeoutMs: 1 })
  await expect(caller.forward('readHealth')()).rejects.toMatchObject({
    code: 'main-process-silent',
    message: 'Cannot ask the process that replicates: no answer to readHealth in 0.001 s.',
  })
  for (const id of ids) caller.settle(id, { kind: 'value', value: undefined })
})

test('no more calls wait than the bound says', async () => {
  const sent: number[] = []
  const caller = new Caller({ send: ({ id }) => void sent.push(id), callsMax: 2 })
  const ask = caller.forward('requestWriteCheckpoint')
  const waiting = [ask('a'), ask('b')]
  await expect(ask('c')).rejects.toMatchObject({ code: 'main-process-silent' })
  for (const id of sent) caller.settle(id, { kind: 'value', value: 1n })
  expect(await Promise.all(waiting)).toEqual([1n, 1n])
  expect(sent).toHaveLength(2)
})

/** A worker and a main process without a channel between them. */
function connect(functions: Partial<MainFunctions>): Caller {
  const notAsked = async (): Promise<never> => {
    throw new Error('nobody should ask for this')
  }
  const nothing = (): never => {
    throw new Error('nobody should ask for this')
  }
  const all = toMainFunctions(
    {
      requestWriteCheckpoint: notAsked,
      requestCheckpointNumber: notAsked,
      readHealth: notAsked,
      readMetrics: notAsked,
      operator: NO_OPERATOR,
      takePlaceAmongAll: nothing,
    },
    { take: nothing },
  )
  const caller: Caller = new Caller({
    send: ({ id, call }) => void answerCall({ ...all, ...functions }, call).then((result) => caller.settle(id, result)),
  })
  return caller
}
