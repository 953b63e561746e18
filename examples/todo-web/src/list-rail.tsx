import { useDatabase } from '@headwater/client/react'
import type { ReactNode } from 'react'
import { addList } from './changes.ts'
import { PeopleIcon, PlusIcon } from './icons.tsx'
import { LineInput } from './line-input.tsx'
import type { User } from './users.ts'

export type ListEntry = { readonly id: string; readonly name: string; readonly open: number; readonly members: number }

export const LISTS_SQL = `
  SELECT lists.id, lists.name,
    (SELECT count(*) FROM todos WHERE todos.list_id = lists.id AND NOT completed) AS open,
    (SELECT count(*) FROM list_members WHERE list_members.list_id = lists.id) AS members
  FROM lists ORDER BY lists.created_at, lists.id`

type Props = {
  readonly user: User
  /** Undefined while nobody knows yet. */
  readonly lists: readonly ListEntry[] | undefined
  readonly selectedId: string | undefined
  readonly onSelect: (listId: string) => void
}

/** The lists on this device. */
export function ListRail({ user, lists, selectedId, onSelect }: Props): ReactNode {
  const database = useDatabase()
  const add = async (name: string): Promise<void> => onSelect(await addList(database, user, name))
  return (
    <nav className="rail" aria-label={`${user.name}’s lists`}>
      {lists === undefined ? (
        <RailSkeleton />
      ) : (
        <ul>
          {lists.map((list) => (
            <li key={list.id}>
              <button
                type="button"
                className="rail-entry"
                aria-current={list.id === selectedId}
                onClick={() => onSelect(list.id)}
              >
                <span className="rail-name">{list.name}</span>
                {list.members > 1 && (
                  <span className="rail-shared" title="Shared">
                    <PeopleIcon />
                    <span className="unseen">shared,</span>
                  </span>
                )}
                <span className="rail-count">
                  {list.open}
                  <span className="unseen"> open</span>
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <LineInput label="New list" icon={<PlusIcon />} onEnter={(name) => void add(name)} />
    </nav>
  )
}

function RailSkeleton(): ReactNode {
  return (
    <div className="skeleton" role="status" aria-label="Loading lists">
      <i />
      <i />
      <i />
    </div>
  )
}
