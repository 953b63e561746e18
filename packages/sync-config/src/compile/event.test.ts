import { expect, test } from 'vitest'
import { describeCheckpointEvents } from '../checkpoint-events.ts'
import { planOf, saidOf } from '../testing/builders.ts'

/** The payload stands from line 4, column 9 on. */
function event(payload: string): string {
  return `event_definitions:\n  write_checkpoints:\n    payloads:\n      - ${payload}\nbucket_definitions: {}\n`
}

function eventsOf(config: string): unknown {
  return planOf(config).body['events']
}

const CHECKPOINTS = { schema: 'public', isSchemaWildcard: false, name: 'checkpoints', isWildcard: false }

test('an event has a table, conditions on its rows, and columns', () => {
  expect(eventsOf(event('SELECT user_id, upper(client) AS checkpoint FROM checkpoints AS c WHERE NOT done'))).toEqual([
    {
      name: 'write_checkpoints',
      table: CHECKPOINTS,
      filters: [{ kind: 'not', operand: { kind: 'column', name: 'done' } }],
      columns: [
        { kind: 'column', name: 'user_id', expression: { kind: 'column', name: 'user_id' } },
        {
          kind: 'column',
          name: 'checkpoint',
          expression: { kind: 'call', name: 'upper', args: [{ kind: 'column', name: 'client' }] },
        },
      ],
    },
  ])
})

test('a table of an event is read, also in a config of edition 3', () => {
  const payload = 'SELECT * FROM "checkpoints_%"'
  const table = { ...CHECKPOINTS, name: 'checkpoints_%', isWildcard: true }
  const config = event(payload).replace('bucket_definitions', 'config: { edition: 3 }\nstreams')
  expect(eventsOf(config)).toEqual([
    { name: 'write_checkpoints', table, filters: [], columns: [{ kind: 'star', style: 'older' }] },
  ])
  expect(planOf(config).tables).toEqual([table])
})

test.each([
  ['SELECT auth.user_id() AS user_id FROM checkpoints', /4:16 auth.user_id\(\) cannot be used in an event/],
  ['SELECT token_parameters.user_id FROM checkpoints', /4:16 token_parameters.user_id cannot be used in an event/],
  ['SELECT a FROM checkpoints WHERE id = request.user_id()', /4:46 request.user_id\(\) cannot be used in an event/],
  ['SELECT a FROM checkpoints WHERE id = bucket.x', /4:46 bucket.x exists in data queries of bucket definitions only/],
  ['SELECT a FROM checkpoints, users', /4:36 Joins do not exist in events/],
  ['SELECT a FROM checkpoints WHERE a IN (SELECT id FROM users)', /IN \(SELECT …\) does not exist in events/],
  ['SELECT upper(a) FROM checkpoints', /4:16 This column needs a name/],
  ['SELECT a FROM checkpoints WHERE a BETWEEN 1 AND 2', /4:41 BETWEEN does not exist in events: write x >= low/],
  ['SELECT 1 AS a', /4:9 The query has no FROM/],
  ['SELECT DISTINCT a FROM checkpoints', /4:16 DISTINCT does not exist in events/],
])('%s is refused', (payload, expected) => {
  expect(saidOf(event(payload).replace('write_checkpoints', 'changes'))).toEqual([expect.stringMatching(expected)])
})

test.each(['write_checkpoints', 'checkpoint_requests'])('a payload of %s has a user and a number', (name) => {
  const config = (payload: string): string => event(payload).replace('write_checkpoints', name)
  expect(saidOf(config('SELECT client_id FROM checkpoints'))).toEqual([
    expect.stringMatching(/4:16 A write checkpoint needs "user_id" and "checkpoint": select user_id, checkpoint and/),
  ])
  expect(saidOf(config('SELECT user_id, n AS checkpoint FROM checkpoints'))).toEqual([])
  expect(saidOf(config('SELECT * FROM checkpoints'))).toEqual([])
  expect(saidOf(config('SELECT client_id FROM checkpoints').replace(name, 'something_else'))).toEqual([])
})

test('whose numbers are announced follows from the events, and does not depend on which of the two names one has', () => {
  const config = event('SELECT user_id, n AS checkpoint FROM checkpoints')
  const described = describeCheckpointEvents(planOf(config))
  expect(described).toEqual(expect.any(String))
  expect(describeCheckpointEvents(planOf(config.replace('write_checkpoints', 'checkpoint_requests')))).toBe(described)
  expect(describeCheckpointEvents(planOf(config.replace('n AS', 'm AS')))).not.toBe(described)
  expect(describeCheckpointEvents(planOf(config.replace('write_checkpoints', 'other')))).toBeUndefined()
})

test('events alone are not a config', () => {
  expect(saidOf('event_definitions: {}')).toEqual([expect.stringMatching(/streams.*bucket_definitions/)])
})
