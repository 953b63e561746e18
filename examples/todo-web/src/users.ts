/** The demo signs in without a password; a real app has its own users. */
export type User = { readonly id: string; readonly name: string }

const ANN: User = { id: 'ann', name: 'Ann' }
const BOB: User = { id: 'bob', name: 'Bob' }

export const USERS: readonly User[] = [ANN, BOB]

/** Whom `user` can share a list with. */
export function otherUsers(user: User): readonly User[] {
  return USERS.filter(({ id }) => id !== user.id)
}

export function nameOfUser(id: string | null): string {
  return USERS.find((user) => user.id === id)?.name ?? id ?? 'someone'
}
