import { describe, expect, test } from 'vitest'
import { Schema } from '../schema/schema.ts'
import { checkpointLine, completeLine } from '../sync/scripted-service.test-parts.ts'
import { openThrowAway } from './throw-away-database.test-parts.ts'

describe('a logger that fails', () => {
  test('keeps nothing from being synced', async () => {
    await using opened = await openThrowAway(new Schema({}), {
      logger: {
        log: () => {
          throw new Error('the disk of the log is full')
        },
      },
    })
    opened.service.refusals.push(() => new TypeError('offline'))
    void opened.connect()
    const stream = await opened.service.stream(0)
    stream.send({ from_the_future: {} }, checkpointLine(0, []), completeLine(0))
    await opened.db.waitForFirstSync()
    expect(opened.db.currentStatus.downloadError).toBeUndefined()
  })
})
