// Pictures of what this tab submitted, to show until the gateway has a preview of its own. They end with the tab.

const kept = new Map();

export const previews = {
  keep: (id, url) => kept.set(id, url),
  of: (id) => kept.get(id),
};
