"""--ui: what the page is told while a run works, and that watching changes nothing."""
import http.client
import json
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

from program import PROGRAM, SMALL, Case

LONG = [*SMALL, "--no-bench", "--epochs", "40"]  # one stage of them


class Watched:
    """A command with --ui on a free port."""

    def __init__(self, case, *arguments):
        self.process = subprocess.Popen([PROGRAM, *map(str, arguments), "--ui=0"], cwd=case.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, stdin=subprocess.DEVNULL)
        self.errors = []
        self.outputs = []
        self.address = threading.Event()
        self.threads = [threading.Thread(target=self.read_errors), threading.Thread(target=lambda: self.outputs.extend(self.process.stdout))]
        for thread in self.threads:
            thread.start()
        if not self.address.wait(120):
            self.process.kill()
            raise AssertionError("no address was printed: " + "".join(self.errors))

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line)
            found = re.match(r"Live page: http://127\.0\.0\.1:(\d+)/$", line)
            if found:
                self.port = int(found[1])
                self.address.set()

    def get(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def state(self, after=0):
        status, body = self.get(f"/state.json?after={after}")
        assert status == 200, status
        return json.loads(body)

    def until(self, wanted):
        while True:
            state = self.state()
            if wanted(state) or state["state"] != "running":
                return state
            time.sleep(0.05)

    def last_state(self):
        """Follows as the page does."""
        state = self.state()
        while state["state"] == "running":
            state = self.state(state["version"])
        return state

    def end(self, limit=300):
        self.process.wait(timeout=limit)
        for thread in self.threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.returncode


class Live(Case):
    def test_a_run_can_be_watched_to_its_end(self):
        run = Watched(self, "run", "data", "--out", "seen", *LONG)
        state = run.until(lambda s: len(s["epochs"]["at"]) >= 2)
        self.assertEqual((state["state"], state["command"], state["folder"]), ("running", "run", "seen"))
        phases = {p["number"]: p["state"] for p in state["phases"]}
        self.assertEqual([phases[n] for n in (1, 7, 8, 9, 10)], ["done", "done", "running", "to come", "to come"])
        self.assertEqual(state["progress"]["unit"], "steps")
        self.assertGreater(state["training"]["images_per_second"], 0)
        self.assertGreater(len(state["steps"]["loss"]), 2)
        self.assertTrue(all(0 <= a <= 1 for a in state["epochs"]["val_accuracy"]))
        self.assertGreater(state["machine"]["memory"], 1e6)
        self.assertEqual(state["stages"][0]["numbers"]["epochs"], 40)
        pictures = json.loads(run.get("/pictures.json")[1])
        self.assertEqual(len(pictures["pictures"]), 16)
        for picture in pictures["pictures"]:
            self.assertIn(picture["label"], ("glioma", "meningioma", "notumor", "pituitary"))
            self.assertTrue(picture["image"].startswith("data:image/jpeg;base64,"))
        self.assertEqual(run.get("/", Host="evil.example")[0], 403)
        self.assertEqual(run.get("/state.json", "POST")[0], 405)
        end = run.last_state()
        self.assertEqual(run.end(), 0, run.errors)
        self.assertEqual((end["state"], end["message"]), ("done", ""))
        self.assertEqual({p["state"] for p in end["phases"]}, {"done"})
        self.assertEqual(end["report"], str((self.folder / "seen/report.html").resolve()))
        history, metrics = self.load("seen/training_history.json"), self.load("seen/evaluation_metrics.json")
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            self.assertEqual(len(end["epochs"][name]), len(history[name]))
            for shown, kept in zip(end["epochs"][name], history[name]):
                self.assertAlmostEqual(shown, kept, delta=1e-4)
        self.assertAlmostEqual(end["phases"][8]["numbers"]["accuracy"], metrics["accuracy"], places=4)
        with self.assertRaises(OSError):
            run.get("/")
        # The same bytes as unseen.
        self.call("run", "data", "--out", "unseen", *LONG)
        for name in ("best_model_stage1.keras", "predictions.csv", "split.csv"):
            self.assertEqual(self.read(f"seen/{name}"), self.read(f"unseen/{name}"), name)

    def test_ctrl_c_stops_the_server_too_and_a_resumed_run_shows_its_past(self):
        run = Watched(self, "run", "data", "--out", "stopped", *LONG)
        run.until(lambda s: len(s["epochs"]["at"]) >= 2)
        run.process.send_signal(signal.SIGINT)
        end = run.last_state()
        self.assertEqual(run.end(), 1)
        self.assertEqual(end["state"], "stopped")
        self.assertIn("--resume", end["message"])
        done = len(end["epochs"]["at"])
        run = Watched(self, "run", "--out", "stopped", "--resume")
        state = run.until(lambda s: len(s["epochs"]["at"]) > done)
        self.assertEqual(state["epochs"]["at"][:done], list(range(1, done + 1)))
        run.process.send_signal(signal.SIGINT)
        self.assertEqual(run.end(), 1)

    def test_an_error_is_told(self):
        run = Watched(self, "run", "data", "--out", "low", *LONG, "--lr", "10", "--epochs", "1", "--pack", "/proc/no/such")
        end = run.last_state()
        self.assertNotEqual(run.end(), 0)
        self.assertEqual(end["state"], "failed")
        self.assertIn(end["message"], "".join(run.errors))

    def test_a_taken_port_is_passed_over(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = self.call("run", "data", "--out", "taken", *SMALL, "--no-bench", "--epochs", "1", f"--ui={port}")
        found = int(re.search(r"Live page: http://127\.0\.0\.1:(\d+)/", done.stderr)[1])
        self.assertTrue(port < found <= port + 32, found)

    def test_single_phases_can_be_watched(self):
        self.call("explore", "data", "--out", "steps", *SMALL, "--epochs", "40")
        self.call("preprocess", "steps", "--ui=0")
        run = Watched(self, "train", "steps")
        state = run.until(lambda s: len(s["steps"]["at"]) > 3)
        self.assertEqual([p["number"] for p in state["phases"] if p["state"] != "to come"], [8])
        run.process.send_signal(signal.SIGTERM)
        self.assertEqual(run.end(), 1)

    def test_a_reader_that_takes_nothing_delays_nothing(self):
        run = Watched(self, "run", "data", "--out", "slow", *LONG, "--epochs", "5")
        clients = [socket.create_connection(("127.0.0.1", run.port)) for _ in range(10)]
        for client in clients:
            client.sendall(b"GET /state.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40)
        self.assertEqual(run.end(), 0, run.errors)
        for client in clients:
            client.close()

    def test_wrong_ports_are_refused(self):
        for value in ("x", "70000", "-1"):
            self.assertIn("--ui", self.call("run", "data", "--out", "wrong", f"--ui={value}", code=2).stderr)


if __name__ == "__main__":
    unittest.main()
