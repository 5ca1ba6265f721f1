// Files of an import: chosen or dropped, sent one after the other as they lie on the disk, and then looked at.
(function () {
  "use strict";
  let busy = false;

  function say(text, wrong) {
    const line = document.getElementById("import-status");
    if (!line) return;
    line.textContent = text;
    line.className = wrong ? "wrong" : "note";
  }

  function size(bytes) {
    return bytes < 1048576 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;
  }

  function send(file, first) {
    return new Promise(function (done, failed) {
      const request = new XMLHttpRequest();
      const asked = new URLSearchParams({ name: file.name });
      if (first) asked.set("first", "1");
      request.open("POST", `/app/upload?${asked}`);
      request.upload.onprogress = (told) => say(`Sending ${file.name}: ${size(told.loaded)} of ${size(file.size)}`);
      request.onload = () =>
        request.status === 204 ? done() : failed(new Error(request.responseText || "It was not taken in."));
      request.onerror = () => failed(new Error("The file broke off on its way, or could not be read. Choose it again."));
      request.send(file);
    });
  }

  async function take(files) {
    const drop = document.getElementById("import-drop");
    if (!drop || !files.length || busy) return;
    const room = Number(drop.dataset.room);
    const whole = files.reduce((sum, file) => sum + file.size, 0);
    if (whole > room) {
      say(`These are ${size(whole)}; an import may have ${size(room)}. Import them in parts, such as one a year.`, true);
      return;
    }
    busy = true;
    try {
      for (const [place, file] of files.entries()) await send(file, place === 0);
      say("All is there.");
      window.dash_clientside.set_props("import-uploaded", { data: Date.now() });
    } catch (wrong) {
      say(wrong.message, true);
    } finally {
      busy = false;
    }
  }

  document.addEventListener("click", function (event) {
    if (!event.target.closest("#import-choose")) return;
    const input = document.createElement("input");
    input.type = "file";
    input.multiple = true;
    input.accept = ".csv,.tsv,.tab,.txt,.jsonl,.ndjson,.parquet,.pq,.xlsx,.xlsm,.gz,.bz2,.xz,.zip,.zst";
    input.onchange = () => take([...input.files]);
    input.click();
  });
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, function (event) {
      if (!event.target.closest || !event.target.closest("#import-drop")) return;
      event.preventDefault();
      if (kind === "drop") take([...event.dataTransfer.files]);
    });
  }
})();
