import { afterAll, beforeAll, test } from 'vitest'
import { closeBrowser } from './browser-device.ts'
import { openStage, type Stage } from './stage.ts'
import { namesOf, openDevice, type Way, WAYS } from './ways.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage({
    prepare: `
      CREATE TABLE headwater_revocations (
        user_id text NOT NULL,
        client_id text,
        token_id text,
        issued_before timestamptz NOT NULL DEFAULT now(),
        transaction xid8 NOT NULL DEFAULT pg_current_xact_id()
      )`,
  })
})
afterAll(async () => {
  await closeBrowser()
  await stage[Symbol.asyncDispose]()
})

/** A token that is issued in the second of the revocation is refused once more. */
const PATIENCE_MS = 20_000

// Every test has a user of its own, and mostly waits: several run at once. What they expect, they expect each for itself.
test.concurrent.for(namesOf())(
  '%s fetches a new token when its own is revoked, and goes on',
  async (name, { expect }) => {
    const way: Way = WAYS[name]
    const user = await stage.addUser()
    await using device = await openDevice(name, stage.app)
    await device.connect(user)
    await device.expectRows('SELECT count(*) AS lists FROM lists', [{ lists: 2 }])
    const fetched = stage.countTokens(user)

    await stage.database.sql(`INSERT INTO headwater_revocations (user_id) VALUES ('${user}')`)

    await expect.poll(() => stage.countTokens(user), { timeout: PATIENCE_MS }).toBeGreaterThan(fetched)
    await stage.database.sql(`INSERT INTO lists VALUES ('${user}L3', 'After', '${user}')`)
    await device.expectRows('SELECT count(*) AS lists FROM lists', [{ lists: 3 }])
    const [first, closed, again] = stage.readStreams(user)
    expect(first).toMatchObject({ event: 'stream-opened', transport: way.transport })
    expect([closed?.event, again?.event]).toEqual(['stream-closed', 'stream-opened'])
  },
)
