using System.Text;
using Fossil.Training;

namespace Fossil.Models.Tests.Training;

public sealed class JsonlReaderTests : IDisposable
{
    private readonly string path = Path.GetTempFileName();

    public void Dispose() => File.Delete(path);

    [Fact]
    public void BothFormsAreRead()
    {
        File.WriteAllText(path, "\uFEFF{\"prompt\": \"1+1?\", \"completion\": \"2\", \"id\": 7}\r\n\n  \n{\"messages\": [{\"role\": \"system\", \"content\": \"\"}, {\"role\": \"user\", \"content\": \"caf\\u00e9?\"}, {\"role\": \"assistant\", \"content\": \"é\"}]}");
        var examples = JsonlReader.Read(path);
        Assert.Equal([1L, 4], examples.Select(example => example.Line));
        Assert.Equal([new("user", "1+1?"), new("assistant", "2")], examples[0].Turns);
        Assert.True(examples[0].IsPlainText);
        Assert.Equal([new("system", ""), new("user", "café?"), new("assistant", "é")], examples[1].Turns);
        Assert.False(examples[1].IsPlainText);
    }

    [Theory]
    [InlineData("{\"prompt\": \"a\", \"completion\": \"b\"", "is not JSON")]
    [InlineData("[1]", "not an array")]
    [InlineData("null", "not null")]
    [InlineData("{}", "it has no field")]
    [InlineData("{\"question\": \"a\", \"answer\": \"b\"}", "it has question, answer")]
    [InlineData("{\"prompt\": \"a\"}", "\"prompt\" and \"completion\"")]
    [InlineData("{\"prompt\": \"a\", \"completion\": 4}", "completion must be a string, not a number")]
    [InlineData("{\"prompt\": \"a\", \"completion\": \"\"}", "nothing to learn")]
    [InlineData("{\"messages\": \"a\"}", "not a string")]
    [InlineData("{\"messages\": []}", "no message of the role \"assistant\"")]
    [InlineData("{\"messages\": [{\"role\": \"user\"}]}", "messages[0] must have")]
    [InlineData("{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"bot\", \"content\": \"b\"}]}", "messages[1].role is \"bot\"")]
    [InlineData("{\"messages\": [{\"role\": \"assistant\", \"content\": [\"a\"]}]}", "messages[0].content[0] must be an object with \"type\" and \"text\", not a string")]
    [InlineData("{\"prompt\": \"\\ud800\", \"completion\": \"b\"}", "not Unicode")]
    public void ABadLineIsNamedWithItsFileAndNumber(string line, string reason)
    {
        File.WriteAllText(path, "{\"prompt\": \"a\", \"completion\": \"b\"}\n\n" + line + "\n");
        var exception = Assert.Throws<TrainingDataException>(() => JsonlReader.Read(path));
        Assert.Equal(3, exception.Line);
        Assert.Contains($"{path}, line 3", exception.Message);
        Assert.Contains(reason, exception.Message);
    }

    [Fact]
    public void BytesThatAreNotUtf8AreAnError()
    {
        File.WriteAllBytes(path, [.. Encoding.UTF8.GetBytes("{\"prompt\": \"a\", \"completion\": \""), 0xFF, .. "\"}"u8]);
        Assert.Equal(1, Assert.Throws<TrainingDataException>(() => JsonlReader.Read(path)).Line);
    }

    [Fact]
    public void AFileThatIsMissingOrEmptyIsAnError()
    {
        Assert.Contains("no example", Assert.Throws<TrainingDataException>(() => JsonlReader.Read(path)).Message);
        Assert.Contains("cannot be read", Assert.Throws<TrainingDataException>(() => JsonlReader.Read(path + ".missing")).Message);
    }
}
