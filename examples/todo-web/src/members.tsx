import { useDatabase, useQuery } from '@headwater/client/react'
import type { ReactNode } from 'react'
import { shareList, unshareList } from './changes.ts'
import { CheckIcon, PeopleIcon } from './icons.tsx'
import type { List } from './schema.ts'
import { nameOfUser, otherUsers, type User } from './users.ts'

type Member = { readonly user_id: string }

/** Who sees a list. Its owner may let others in, and out again; a member may leave. */
export function Members({ user, list }: { readonly user: User; readonly list: List }): ReactNode {
  const database = useDatabase()
  const { data } = useQuery<Member>('SELECT user_id FROM list_members WHERE list_id = ? ORDER BY user_id', [list.id])
  const memberIds = data.map(({ user_id }) => user_id)
  const isOwner = list.owner_id === user.id
  return (
    <div className="members">
      <span className="avatars" role="img" aria-label={`Seen by ${memberIds.map(nameOfUser).join(' and ')}`}>
        {memberIds.map((id) => (
          <span key={id} className="avatar small" data-user={id}>
            {nameOfUser(id)[0]}
          </span>
        ))}
      </span>
      {isOwner ? (
        otherUsers(user).map((other) => {
          const isShared = memberIds.includes(other.id)
          const toggle = isShared ? unshareList : shareList
          return (
            <button
              key={other.id}
              type="button"
              className="button quiet"
              aria-label={`Share with ${other.name}`}
              aria-pressed={isShared}
              title={isShared ? `Stop sharing with ${other.name}` : undefined}
              onClick={() => void toggle(database, list.id, other.id)}
            >
              {isShared ? <CheckIcon /> : <PeopleIcon />}
              {isShared ? `${other.name} sees it` : `Share with ${other.name}`}
            </button>
          )
        })
      ) : (
        <button type="button" className="button quiet" onClick={() => void unshareList(database, list.id, user.id)}>
          Leave
        </button>
      )}
    </div>
  )
}
