import { describe, expect, test } from 'vitest'
import { Turns } from './turns.ts'

/** Works until the turn is over, as often as asked; notes each turn. */
async function work(turns: Turns, userId: string, times: number, noted: string[]): Promise<void> {
  const turn = turns.begin(userId)
  for (let time = 0; time < times; time++) {
    while (!turn.isOver) performance.now()
    await turn.next()
    noted.push(userId)
  }
}

describe('turns', () => {
  test('go round users, however many streams one of them has', async () => {
    const turns = new Turns()
    const noted: string[] = []
    const many = Array.from({ length: 10 }, () => work(turns, 'many', 3, noted))
    await Promise.all([...many, work(turns, 'one', 3, noted)])
    // The first streams of `many` were there before.
    expect(noted.slice(0, 7).filter((userId) => userId === 'one').length).toBeGreaterThanOrEqual(2)
    expect(noted).toHaveLength(33)
  })

  test('come one in each round of the event loop', async () => {
    const turns = new Turns()
    const noted: string[] = []
    const working = Promise.all(Array.from({ length: 5 }, (_, index) => work(turns, `user ${index}`, 2, noted)))
    let most = 0
    for (let before = 0; noted.length < 10; before = noted.length) {
      await new Promise((resolve) => setImmediate(resolve))
      most = Math.max(most, noted.length - before)
    }
    await working
    expect(most).toBe(1)
  })

  test('are shared by the parts of one piece of work', async () => {
    const turns = new Turns()
    const noted: string[] = []
    const turn = turns.begin('ann')
    while (!turn.isOver) performance.now()
    const parts = Array.from({ length: 3 }, () => turn.next().then(() => noted.push('part')))
    await Promise.all([...parts, work(turns, 'bob', 2, noted)])
    expect(noted).toEqual(['part', 'part', 'part', 'bob', 'bob'])
  })

  test('are asked for the time only every so many short steps', () => {
    const turn = new Turns().begin('ann')
    while (!turn.isOver) performance.now()
    const looks = Array.from({ length: 200 }, () => turn.isOverAfterStep()).filter(Boolean).length
    expect(looks).toBeGreaterThan(0)
    expect(looks).toBeLessThan(20)
  })

  test('leave those who begin late in a round only what is short', async () => {
    let nowMs = 0
    const turns = new Turns(() => nowMs)
    const isOverAfter = (ms: number): boolean => {
      const turn = turns.begin('ann')
      nowMs += ms
      return turn.isOver
    }
    expect(isOverAfter(0.6)).toBe(false)
    expect(isOverAfter(0.3)).toBe(false)
    expect(isOverAfter(0.2)).toBe(false)
    expect(isOverAfter(0.2)).toBe(false)
    expect(isOverAfter(0.3)).toBe(true)
    await new Promise((resolve) => setImmediate(resolve))
    expect(isOverAfter(0.9)).toBe(false)
    expect(isOverAfter(0.9)).toBe(true)
  })

  test('are whole ones, whatever was begun before them', async () => {
    let nowMs = 0
    const turns = new Turns(() => nowMs)
    const turn = turns.begin('ann')
    nowMs += 5
    const given = turn.next()
    turns.begin('bob')
    nowMs += 5
    await given
    nowMs += 0.9
    expect(turn.isOver).toBe(false)
    nowMs += 0.2
    expect(turn.isOver).toBe(true)
  })

  test('cost nothing for work that is short', () => {
    expect(new Turns(() => 0).begin('ann').isOver).toBe(false)
  })
})
