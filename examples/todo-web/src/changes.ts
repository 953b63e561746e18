/** Everything the app writes. Plain SQL on the local database: it works offline, and is uploaded when it can be. */
import type { HeadwaterDatabase } from '@headwater/client/web'
import type { User } from './users.ts'

export async function addList(database: HeadwaterDatabase, owner: User, name: string): Promise<string> {
  const id = crypto.randomUUID()
  await database.writeTransaction(async (transaction) => {
    await transaction.execute('INSERT INTO lists (id, name, owner_id, created_at) VALUES (?, ?, ?, ?)', [
      id,
      name,
      owner.id,
      new Date().toISOString(),
    ])
    await transaction.execute('INSERT INTO list_members (id, list_id, user_id) VALUES (?, ?, ?)', [
      crypto.randomUUID(),
      id,
      owner.id,
    ])
  })
  return id
}

export async function renameList(database: HeadwaterDatabase, listId: string, name: string): Promise<void> {
  await database.execute('UPDATE lists SET name = ? WHERE id = ?', [name, listId])
}

export async function deleteList(database: HeadwaterDatabase, listId: string): Promise<void> {
  await database.writeTransaction(async (transaction) => {
    await transaction.execute('DELETE FROM todos WHERE list_id = ?', [listId])
    await transaction.execute('DELETE FROM list_members WHERE list_id = ?', [listId])
    await transaction.execute('DELETE FROM lists WHERE id = ?', [listId])
  })
}

export async function shareList(database: HeadwaterDatabase, listId: string, userId: string): Promise<void> {
  await database.execute('INSERT INTO list_members (id, list_id, user_id) VALUES (?, ?, ?)', [
    crypto.randomUUID(),
    listId,
    userId,
  ])
}

export async function unshareList(database: HeadwaterDatabase, listId: string, userId: string): Promise<void> {
  await database.execute('DELETE FROM list_members WHERE list_id = ? AND user_id = ?', [listId, userId])
}

export async function addTodo(
  database: HeadwaterDatabase,
  todo: { readonly id: string; readonly listId: string; readonly description: string; readonly createdBy: User },
): Promise<void> {
  await database.execute(
    'INSERT INTO todos (id, list_id, description, completed, created_by, created_at) VALUES (?, ?, ?, 0, ?, ?)',
    [todo.id, todo.listId, todo.description, todo.createdBy.id, new Date().toISOString()],
  )
}

export async function renameTodo(database: HeadwaterDatabase, todoId: string, description: string): Promise<void> {
  await database.execute('UPDATE todos SET description = ? WHERE id = ?', [description, todoId])
}

export async function completeTodo(database: HeadwaterDatabase, todoId: string, isDone: boolean): Promise<void> {
  await database.execute('UPDATE todos SET completed = ? WHERE id = ?', [isDone ? 1 : 0, todoId])
}

export async function deleteTodo(database: HeadwaterDatabase, todoId: string): Promise<void> {
  await database.execute('DELETE FROM todos WHERE id = ?', [todoId])
}
