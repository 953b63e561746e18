import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { closeBrowser } from './browser-device.ts'
import { openStage, type Stage } from './stage.ts'
import { namesOf, openDevice, type TestDevice } from './ways.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
})
afterAll(async () => {
  await closeBrowser()
  await stage[Symbol.asyncDispose]()
})

// These tests are mostly waiting, so several clients do it at once.
describe.concurrent.each(namesOf(({ refreshesEarly }) => refreshesEarly))('%s', (name) => {
  test('goes on with another token before the last one ends', async () => {
    const user = await stage.addUser()
    // The service warns 20 s before the end.
    stage.setTokenSeconds(user, 22)
    await using device = await openDevice(name, stage.app)

    await device.connect(user)
    await expectName(device, user, 'Groceries')
    await untilOpenedAnew(user)
    await stage.database.sql(`UPDATE lists SET name = 'Food' WHERE owner_id = '${user}'`)
    await expectName(device, user, 'Food')
  })
})

describe.concurrent.each(namesOf())('%s', (name) => {
  test('goes on with another token when the last one has ended', async () => {
    const user = await stage.addUser()
    stage.setTokenSeconds(user, 3)
    await using device = await openDevice(name, stage.app)

    await device.connect(user)
    await untilOpenedAnew(user)
    await stage.database.sql(`UPDATE lists SET name = 'Food' WHERE owner_id = '${user}'`)

    await expectName(device, user, 'Food')
  })
})

// The others ask with the same token for ever, if their first one is refused. They did so, too, when they were answered
// byte for byte as the reference answers.
describe.concurrent.each(namesOf(({ dropsRefusedToken }) => dropsRefusedToken))('%s', (name) => {
  test('fetches another token when the first is refused', async ({ expect }) => {
    const user = await stage.addUser()
    stage.setTokenSeconds(user, -120)
    await using device = await openDevice(name, stage.app)

    await device.connect(user)

    await expectName(device, user, 'Groceries')
    expect(stage.countTokens(user)).toBeGreaterThan(1)
  })
})

async function expectName(device: TestDevice, user: string, name: string): Promise<void> {
  await device.expectRows(`SELECT name FROM lists WHERE id = '${user}L1'`, [{ name }])
}

/** The second stream of a user is one with another token. */
async function untilOpenedAnew(user: string): Promise<void> {
  const countOpened = (): number => stage.readStreams(user).filter(({ event }) => event === 'stream-opened').length
  await vi.waitUntil(() => countOpened() > 1, { timeout: 20_000 })
}
