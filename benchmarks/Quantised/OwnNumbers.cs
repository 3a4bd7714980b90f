using System.Text.Json;

/// <summary>What this program measures in a process whose memory is its own.</summary>
internal static class OwnNumbers
{
    /// <summary>Runs it with other arguments, and reads the JSON that it prints last.</summary>
    public static T Read<T>(params IEnumerable<string> arguments) => JsonSerializer.Deserialize<T>(OwnProcess.Output(arguments).Trim().Split('\n')[^1])!;
}
