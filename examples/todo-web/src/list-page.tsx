import { useDatabase, useQuery } from '@headwater/client/react'
import type { ReactNode } from 'react'
import { noteDeparture, useArrivals } from './arrivals.ts'
import { addTodo, deleteList, renameList } from './changes.ts'
import { EditableText } from './editable-text.tsx'
import { PlusIcon, TrashIcon } from './icons.tsx'
import { LineInput } from './line-input.tsx'
import { Members } from './members.tsx'
import type { List, Todo } from './schema.ts'
import { TodoRow } from './todo-row.tsx'
import type { User } from './users.ts'
import { useWaiting } from './waiting-changes.tsx'

/** Rows that look the same stay the same objects, so a change renders one row, and shows which one it was. */
const BY_LOOKS = {
  keyBy: (row: Todo) => row.id,
  compareBy: (row: Todo) => JSON.stringify([row.description, row.completed, row.created_by]),
}

const LIST_SQL = 'SELECT id, name, owner_id, created_at FROM lists WHERE id = ?'
const TODOS_SQL = `
  SELECT id, list_id, description, completed, created_by, created_at
  FROM todos WHERE list_id = ? ORDER BY completed, created_at, id`

type Props = { readonly user: User; readonly listId: string }

export function ListPage({ user, listId }: Props): ReactNode {
  const { data: lists } = useQuery<List>(LIST_SQL, [listId])
  const list = lists.find(({ id }) => id === listId)
  return list === undefined ? <PageSkeleton /> : <OpenList key={list.id} user={user} list={list} />
}

function OpenList({ user, list }: { readonly user: User; readonly list: List }): ReactNode {
  const database = useDatabase()
  const { data: todos, isLoading, error } = useQuery<Todo>(TODOS_SQL, [list.id], { rowComparator: BY_LOOKS })
  const arrived = useArrivals(user, isLoading ? '' : list.id, todos)
  const waitingIds = new Set(useWaiting()?.map(({ row_id }) => row_id))
  const done = todos.filter(({ completed }) => completed === 1).length
  const add = (description: string): void => {
    const id = crypto.randomUUID()
    noteDeparture(user, id)
    void addTodo(database, { id, listId: list.id, description, createdBy: user })
  }
  return (
    <article className="page">
      <header className="page-header">
        <h3>
          <EditableText
            text={list.name ?? ''}
            label="Name of the list"
            onChange={(name) => void renameList(database, list.id, name)}
          />
        </h3>
        <Members user={user} list={list} />
        {list.owner_id === user.id && (
          <button
            type="button"
            className="icon-button danger"
            aria-label={`Delete the list ${list.name}`}
            title="Delete this list"
            onClick={() => void deleteList(database, list.id)}
          >
            <TrashIcon />
          </button>
        )}
      </header>
      <progress value={done} max={Math.max(todos.length, 1)} aria-label={`${done} of ${todos.length} done`} />
      <LineInput label="Add a todo" icon={<PlusIcon />} onEnter={add} />
      {error !== undefined && (
        <p className="notice" role="alert">
          {error.message}
        </p>
      )}
      {isLoading ? null : todos.length === 0 ? (
        <p className="blank small">Nothing to do here. A good moment for a walk.</p>
      ) : (
        <ul className="todos">
          {todos.map((todo) => (
            <TodoRow
              key={todo.id}
              user={user}
              todo={todo}
              isWaiting={waitingIds.has(todo.id)}
              hasArrived={arrived.has(todo.id)}
            />
          ))}
        </ul>
      )}
    </article>
  )
}

export function PageSkeleton(): ReactNode {
  return (
    <div className="page skeleton" role="status" aria-label="Loading the list">
      <i />
      <i />
      <i />
      <i />
    </div>
  )
}
