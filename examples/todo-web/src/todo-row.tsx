import { useDatabase } from '@headwater/client/react'
import type { ReactNode } from 'react'
import { noteDeparture } from './arrivals.ts'
import { completeTodo, deleteTodo, renameTodo } from './changes.ts'
import { EditableText } from './editable-text.tsx'
import { CheckIcon, TrashIcon, UpIcon } from './icons.tsx'
import type { Todo } from './schema.ts'
import { nameOfUser, type User } from './users.ts'

type Props = {
  readonly user: User
  readonly todo: Todo
  /** The device has changes of this row that are not uploaded yet. */
  readonly isWaiting: boolean
  /** The row has just come, or changed, from elsewhere. */
  readonly hasArrived: boolean
}

export function TodoRow({ user, todo, isWaiting, hasArrived }: Props): ReactNode {
  const database = useDatabase()
  const isDone = todo.completed === 1
  const description = todo.description ?? ''
  const change = (write: Promise<void>): void => {
    noteDeparture(user, todo.id)
    void write
  }
  return (
    <li className="todo" data-done={isDone} data-arrived={hasArrived} data-todo={todo.id}>
      <label className="check">
        <input
          type="checkbox"
          checked={isDone}
          aria-label={`Done: ${description}`}
          onChange={() => change(completeTodo(database, todo.id, !isDone))}
        />
        <CheckIcon />
      </label>
      <EditableText
        text={description}
        label={`Rename ${description}`}
        onChange={(text) => change(renameTodo(database, todo.id, text))}
      />
      {isWaiting && (
        <span className="waiting-mark" role="img" aria-label="Not uploaded yet" title="Not uploaded yet">
          <UpIcon />
        </span>
      )}
      <span className="todo-author" title={`Added by ${nameOfUser(todo.created_by)}`}>
        {todo.created_by === null ? 'SQL' : todo.created_by === user.id ? '' : nameOfUser(todo.created_by)}
      </span>
      <button
        type="button"
        className="icon-button danger"
        aria-label={`Delete ${description}`}
        onClick={() => change(deleteTodo(database, todo.id))}
      >
        <TrashIcon />
      </button>
    </li>
  )
}
