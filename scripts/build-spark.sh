#!/bin/sh
# Makes the Spark job's jar with Maven: BUILD/spark/brainmri-spark.jar, where the program of the same build folder finds it, and
# from where `make install` takes it. Exit code 77: this machine has no Maven or no Java compiler. usage: build-spark.sh BUILD
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1/spark"
output=$(cd "$1/spark" && pwd)
jar=$output/brainmri-spark.jar
if [ -f "$jar" ] && [ -z "$(find spark -type f -newer "$jar")" ]; then
	exit 0
fi
for program in mvn javac; do
	if ! command -v $program >/dev/null 2>&1; then
		echo "build-spark: no $program: install a JDK and Maven (apt-get install default-jdk-headless maven) and try again" >&2
		exit 77
	fi
done
mvn -B -q -f spark/pom.xml -Doutput="$output/maven" package
# Renamed into place: never half a jar under this name.
cp "$output/maven/brainmri-spark.jar" "$jar.part"
mv "$jar.part" "$jar"
