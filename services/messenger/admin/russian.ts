/** The sentences of the administration in Russian, by what they are in English; a test looks for those that are missing. */
export const russian: Readonly<Record<string, string>> = {
  '{0} MB': '{0} МБ',
  '{0} ms': '{0} мс',
  'end other programs, or let this node lend less: artel contribute':
    'завершите другие программы или отдавайте меньше этого узла: artel contribute',
  'end other programs, or give this machine more memory':
    'завершите другие программы или добавьте этой машине памяти',
  'artel messenger cleanup, or make room on the disk':
    'artel messenger cleanup или освободите место на диске',
  'artel messenger cleanup; a smaller messenger.mailMb':
    'artel messenger cleanup; уменьшите messenger.mailMb',
  'artel messenger diagnose; see memory and processor':
    'artel messenger diagnose; посмотрите на память и процессор',

  'this node is in no school': 'этот узел не состоит в школе',
  'artel messenger found NAME, or artel messenger join CODE':
    'artel messenger found НАЗВАНИЕ или artel messenger join КОД',
  'all {0} answer': 'отвечают все, их {0}',
  '{0} of {1} do not answer: {2}': 'не отвечают {0} из {1}: {2}',
  'start those nodes and see that this one reaches them (its seeds, firewall); or name others: artel messenger mailboxes':
    'запустите эти узлы и проверьте, что этот до них достаёт (его seeds, межсетевой экран); или назовите другие: artel messenger mailboxes',
  'everything is at the mailboxes': 'всё лежит на почтовых узлах',
  '{0} envelopes wait for a mailbox': 'ждут почтового узла конвертов: {0}',
  'they go by themselves when the mailboxes answer and have room':
    'они уйдут сами, когда почтовые узлы ответят и найдут место',
  '{0} % of the mail’s room is used': 'занято {0} % места для почты',
  'pictures and files are refused when it is full: set a larger messenger.mailMb':
    'когда места не станет, картинки и файлы не примут: увеличьте messenger.mailMb',
  'nobody sends more than he may': 'никто не отправляет больше, чем можно',
  'more than the policy lets a device send, in the last hour: {0}':
    'больше, чем правила позволяют отправлять одному устройству, за последний час: {0}',
  'a mailbox takes the rest later; where no person wrote it: artel messenger revoke DEVICE':
    'остальное почтовый узел примет позже; если писал не человек: artel messenger revoke УСТРОЙСТВО',
  'it cannot be read and written: {0}': 'её нельзя прочесть и записать: {0}',
  'whole, and can be written': 'цела, и в неё можно писать',
  'nothing can be sent: artel messenger verify, then artel messenger restore ID':
    'отправить ничего нельзя: artel messenger verify, затем artel messenger restore ID',

  '{0} of {1} nodes have what was backed up last': 'последняя копия есть на {0} узлах из {1}',
  'on other nodes of the school: artel config set messenger.copiesMb 1024':
    'на других узлах школы: artel config set messenger.copiesMb 1024',
  'only the owner of this node reads its keys': 'ключи читает только владелец этого узла',
  'others of this machine may read {0}': 'другие на этой машине могут прочесть {0}',
  '{0} with a device': 'с устройством: {0}',
  '{0} with a device: where his computer is lost, nobody brings people in':
    'с устройством: {0}; если его компьютер пропадёт, принимать людей будет некому',
  '{0}, of which more than half decide': '{0}, решает больше половины',
  '{0}: no more may be away than of {1}': '{0}: отсутствовать может не больше, чем из {1}',

  'artel messenger restore ID brings it back from a backup': 'artel messenger restore ID вернёт это из копии',
  whole: 'цела',
  'stop the node, move messenger.sqlite away, start it; then {0}':
    'остановите узел, уберите messenger.sqlite, запустите его; затем {0}',
  '{0} are whole': 'целы все, их {0}',
  '{0} of {1} are damaged: {2}': 'повреждены {0} из {1}: {2}',
  'there is none': 'её нет',
  'artel messenger backup makes one': 'artel messenger backup сделает её',
  'artel messenger backup makes another': 'artel messenger backup сделает другую',
  '{0} can be restored, {1} events': '{0} можно восстановить, событий: {1}',

  '{0}, {1} hours old, {2} events': '{0}, часов назад: {1}, событий: {2}',
  'database, messages, mail, files and newest backup are whole':
    'база данных, сообщения, почта, файлы и последняя копия целы',
  'the database has {0} MB; artel messenger cleanup makes it smaller':
    'в базе данных {0} МБ; artel messenger cleanup уменьшит её',
  'Node {0} runs it': 'работает на Node {0}',
  'compare with the newest release of Artel, this node asks nobody on the internet; artel update FILE puts it in place':
    'сравните с последним выпуском Artel, сам узел никого в интернете не спрашивает; его ставит artel update FILE',
  '{0} messages this month': 'сообщений за этот месяц: {0}',

  'Take the computer that leaked off the network; its device does not count any more, and chats go on without it':
    'Отключите от сети компьютер, с которого утекли данные; его устройство больше не считается, и чаты идут дальше без него',
  'See what was reached: who had a device there, in which chats':
    'Посмотрите, до чего добрались: у кого там было устройство и в каких чатах',
  'Everybody with an account on that node takes another password; tokens are made anew':
    'Все, у кого на том узле есть учётная запись, меняют пароль; токены создаются заново',
  'Tell the people of those chats: what was said before stays readable to whoever has the keys of then':
    'Скажите людям из этих чатов: сказанное раньше прочтёт всякий, у кого есть ключи того времени',
  'Find the peers that ask most': 'Найдите узлы, которые спрашивают чаще всех',
  'Close this node to strangers: a network of its own, its port open to the school only':
    'Закройте узел от посторонних: своя сеть, порт открыт только для школы',
  'Block their addresses in the firewall; a peer that breaks the rules is barred by itself':
    'Закройте их адреса в межсетевом экране; узел, который нарушает правила, отключается сам',
  'See that it is over: answers and mailboxes': 'Убедитесь, что всё прошло: ответы и почтовые узлы',
  'Disable {0}: nobody takes anything of his devices from then on':
    'Отключите {0}: с этой минуты от его устройств никто ничего не примет',
  'Revoke the device, and what came in by it': 'Отзовите устройство и те, что вошли через него',
  'Look at what was written in his name': 'Посмотрите, что написано от его имени',
  'Enable him again, with a new device and a new password; tell him':
    'Включите его снова, с новым устройством и новым паролем; скажите ему об этом',

  '- nothing is wrong': '- всё в порядке',
  [`Subject: [PROBLEM] {0}

What happened:
1. What happened?
2. When did it happen?
3. How can it be made to happen again?
4. What should have happened?
5. What happened instead?

System:
- {1} {2}, {3} processors
- Node {4}
- written at {5}

What diagnose says:
{6}

Attach: pictures of errors, lines of the log, settings without passwords.`]: `Тема: [ПРОБЛЕМА] {0}

Что случилось:
1. Что произошло?
2. Когда это произошло?
3. Как это повторить?
4. Что должно было произойти?
5. Что произошло вместо этого?

Система:
- {1} {2}, процессоров: {3}
- Node {4}
- написано {5}

Что говорит diagnose:
{6}

Приложите: снимки ошибок, строки журнала, настройки без паролей.`
}
