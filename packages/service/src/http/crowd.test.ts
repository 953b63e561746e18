import { describe, expect, test } from 'vitest'
import { Crowd } from './crowd.ts'

describe('a crowd', () => {
  function crowdOf(roomMax: number): { readonly crowd: Crowd<string>; readonly gone: string[] } {
    const gone: string[] = []
    return { crowd: new Crowd<string>(roomMax, (member) => gone.push(member)), gone }
  }

  test('keeps everybody as long as there is room', () => {
    const { crowd, gone } = crowdOf(3)
    for (const member of ['a', 'b', 'c']) crowd.add(member, 'one')
    expect([gone, crowd.taken]).toEqual([[], 3])
  })

  test('loses the oldest of the group that takes most room, whoever comes', () => {
    const { crowd, gone } = crowdOf(4)
    crowd.add('quiet', 'small')
    for (const member of ['a', 'b', 'c']) crowd.add(member, 'large')
    crowd.add('new', 'other')
    expect(gone).toEqual(['a'])
    crowd.add('d', 'large')
    expect(gone).toEqual(['a', 'b'])
    expect(crowd.taken).toBe(4)
  })

  test('counts sizes, not members', () => {
    const { crowd, gone } = crowdOf(100)
    for (const member of ['a', 'b', 'c']) crowd.add(member, 'many', 10)
    crowd.add('huge', 'one', 60)
    crowd.add('d', 'many', 20)
    expect([gone, crowd.taken]).toEqual([['huge'], 50])
  })

  test('turns away whoever is larger than all the room', () => {
    const { crowd, gone } = crowdOf(10)
    crowd.add('huge', 'one', 11)
    expect([gone, crowd.taken]).toEqual([['huge'], 0])
  })

  test('has room again when a member leaves; one that comes again counts once, as the newest', () => {
    const { crowd, gone } = crowdOf(2)
    crowd.add('a', 'one')
    crowd.add('b', 'one')
    crowd.remove('b')
    crowd.remove('nobody')
    crowd.add('c', 'one')
    crowd.add('a', 'one')
    expect([gone, crowd.taken]).toEqual([[], 2])
    crowd.add('d', 'one')
    expect(gone).toEqual(['c'])
  })
})
